"""Artifact: what a training job hands to serving, as bytes that prove themselves.

    model.onnx     windows [B, T, C], profile [B, 3, C]  ->  error [B], settled_error [B], channel_error [B, C]
    full.onnx      the same inputs  ->  reconstruction [B, T, C] (raw units less the origin), embedding [B, K]
    encoder.onnx   the same inputs                       ->  embedding [B, K], and nothing else is computed
    decoder.onnx   where a code can be sampled: code [B, K], profile [B, 3, C], and the context channels [B, T, Q] of
                   the conditional  ->  reconstruction [B, T, C]
    manifest.json  the facts, canonical JSON, with the sha256 of every other file and of itself
    repair.npz     what cleaning and filling take from the calibrate span
    profiles.npz   centre, scale and error unit of each known series, and the fleet's
    golden.npz     windows with the outputs that a loaded model must reproduce

A byte that differs anywhere is refused by name. `registry.py` touches the files; nothing here does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamae.detection.archives import Column, Refused, pack, unpack
from streamae.detection.manifest import MANIFEST, Manifest, canonical, read
from streamae.detection.repairing import CLASSES, Repair
from streamae.errors import ArtifactError

FILES = ("model.onnx", "full.onnx", "profiles.npz", "golden.npz")
OPTIONAL = ("encoder.onnx", "decoder.onnx", "repair.npz")  # not of models trained before they were, or of all kinds
GRAPHS, REPAIR = OPTIONAL[:2], OPTIONAL[2]


@dataclass(frozen=True)
class Profiles:
    """Centre, scale and error unit of each channel, per series; row 0 is the fleet's, for a series that is unknown.

    Shapes: S known series, C channels; `table` is float32 [S + 1, 3, C], `series` names rows 1 to S.
    """

    series: tuple[str, ...]
    table: NDArray[np.float32]

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.series, start=1)}

    def rows(self, names: Sequence[str]) -> NDArray[np.float32]:
        """The profile of each named series: [len(names), 3, C]."""
        return self.table[[self._row.get(name, 0) for name in names]]


@dataclass(frozen=True)
class Golden:
    """Windows and the errors that the graph gave for them when it was exported (on CPU)."""

    windows: NDArray[np.float32]  # [B, T, C]
    profile: NDArray[np.float32]  # [B, 3, C]
    error: NDArray[np.float32]  # [B]
    settled_error: NDArray[np.float32]  # [B]
    channel_error: NDArray[np.float32]  # [B, C]


@dataclass(frozen=True)
class Artifact:
    """One immutable version of a model, in memory."""

    manifest: Manifest
    model: bytes
    full: bytes
    profiles: Profiles
    golden: Golden
    encoder: bytes = b""
    decoder: bytes = b""
    repair: Repair | None = None

    @property
    def label(self) -> str:
        """Model and version, as errors name them."""
        return f"{self.manifest.name}@{self.manifest.version or 'unregistered'}"

    def encode(self) -> dict[str, bytes]:
        """The files of this artifact by name; the manifest gets the digests of all."""
        files = {
            "model.onnx": self.model,
            "full.onnx": self.full,
            "profiles.npz": pack(series=np.array(self.profiles.series, dtype=np.str_), table=self.profiles.table),
            "golden.npz": pack(**vars(self.golden)),
        }
        files |= {name: data for name, data in zip(GRAPHS, (self.encoder, self.decoder), strict=True) if data}
        files |= {REPAIR: pack(**vars(self.repair))} if self.repair else {}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        manifest = msgspec.structs.replace(self.manifest, files=digests, digest="")
        manifest = msgspec.structs.replace(manifest, digest=hashlib.sha256(canonical(manifest)).hexdigest())
        return {**files, MANIFEST: canonical(manifest)}

    @classmethod
    def decode(cls, files: Mapping[str, bytes], where: str = "artifact") -> Self:
        """The artifact in `files`, every byte checked. Raises ArtifactError that names the file and the fault."""
        manifest = read(_there(files, MANIFEST, where), where)
        more = [name for name in OPTIONAL if name in manifest.files]
        for name in (*FILES, *more):
            if hashlib.sha256(_there(files, name, where)).hexdigest() != manifest.files.get(name):
                raise ArtifactError(f"{where}: {name} is damaged (its sha256 is not the manifest's)")
        profiles = _arrays(files, "profiles.npz", where, _profiles(manifest))
        golden = _arrays(files, "golden.npz", where, _golden(manifest))
        known = Profiles(tuple(profiles["series"].tolist()), profiles["table"])
        if len(known.table) != len(known.series) + 1:
            raise ArtifactError(
                f"{where}: profiles.npz has {len(known.table)} profiles for the fleet and {len(known.series)} series"
            )
        graphs = {name.partition(".")[0]: files[name] for name in more if name in GRAPHS}
        repair = _repair(files, where, manifest) if REPAIR in more else None
        return cls(manifest, files["model.onnx"], files["full.onnx"], known, Golden(**golden), repair=repair, **graphs)


def _there(files: Mapping[str, bytes], name: str, where: str) -> bytes:
    if name not in files:
        raise ArtifactError(f"{where}: {name} is missing; register the version again or promote another")
    return files[name]


def _repair(files: Mapping[str, bytes], where: str, manifest: Manifest) -> Repair:
    found = Repair(**_arrays(files, REPAIR, where, Repair.columns(len(manifest.channels))))
    if len(found.weight) not in (0, CLASSES):
        raise ArtifactError(f"{where}: {REPAIR} has weights for {len(found.weight)} classes, not for {CLASSES}")
    return found


def _profiles(manifest: Manifest) -> dict[str, Column]:
    return {"series": Column("U", ("S",)), "table": Column("f", ("profiles", 3, len(manifest.channels)))}


def _golden(manifest: Manifest) -> dict[str, Column]:
    ticks, channels = manifest.window.length, len(manifest.channels)
    shapes = {"windows": ("B", ticks, channels), "profile": ("B", 3, channels), "channel_error": ("B", channels)}
    return {name: Column("f", shapes.get(name, ("B",))) for name in Golden.__match_args__}


def _arrays(files: Mapping[str, bytes], name: str, where: str, layout: Mapping[str, Column]) -> dict[str, NDArray[Any]]:
    try:
        return unpack(files[name], layout)
    except Refused as error:
        raise ArtifactError(f"{where}: {name} {error}; register the version again or promote another") from error
