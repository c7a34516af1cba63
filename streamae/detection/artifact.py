"""Artifact: what a training job hands to serving, as bytes that prove themselves.

    model.onnx     windows [B, T, C], profile [B, 3, C]  ->  error [B], settled_error [B], channel_error [B, C]
    full.onnx      the same inputs  ->  reconstruction [B, T, C] (raw units less the origin), embedding [B, K]
    encoder.onnx   the same inputs                       ->  embedding [B, K], and nothing else is computed
    decoder.onnx   where a code can be sampled: code [B, K], profile [B, 3, C], and the context channels [B, T, Q] of
                   the conditional  ->  reconstruction [B, T, C]
    manifest.json  the facts, canonical JSON, with the sha256 of every other file and of itself
    profiles.npz   centre, scale and error unit of each known series, and the fleet's
    golden.npz     windows with the outputs that a loaded model must reproduce

A byte that differs anywhere is refused by name. `registry.py` touches the files; nothing here does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from streamae.detection.archives import Column, Refused, pack, unpack
from streamae.errors import ArtifactError

CONTRACT = 1
LONGEST_MS = 10**13  # of a window, three centuries: so that times stay whole numbers of 64 bits
FILES = ("model.onnx", "full.onnx", "profiles.npz", "golden.npz")
OPTIONAL = ("encoder.onnx", "decoder.onnx")  # of models trained before they were, or whose code cannot be sampled
MANIFEST = "manifest.json"


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """House rules of everything that is written to be read again: frozen, by name, nothing unknown."""


class WindowSpec(Facts, frozen=True, kw_only=True):
    """Which ticks make a window: `length` consecutive ones, a new window every `stride`, each `cadence_ms` long."""

    length: int
    stride: int
    cadence_ms: int

    def __post_init__(self) -> None:
        if self.cadence_ms < 1:
            raise ValueError(f"cadence must be at least 1 ms, not {self.cadence_ms}")
        if self.length < 2:
            raise ValueError(f"length must be at least 2 ticks, not {self.length}")
        if not 1 <= self.stride <= self.length:
            raise ValueError(
                f"stride must be from 1 to length ({self.length}), not {self.stride}: "
                "with a longer stride some readings would lie in no window"
            )
        if self.length_ms > LONGEST_MS:
            raise ValueError(
                f"a window of {self.length:g} ticks of {self.cadence_ms:g} ms is longer than three centuries"
            )

    @property
    def length_ms(self) -> int:
        """Duration of a window."""
        return self.length * self.cadence_ms


class Channel(Facts, frozen=True, kw_only=True):
    """One measured quantity; `origin` is subtracted in float64 before values become float32.

    A channel that is not `scored` is context: an input that conditions the model but has no error of its own.
    """

    name: str
    origin: float = 0.0
    scored: bool = True


class Threshold(Facts, frozen=True, kw_only=True):
    """The errors above which a window is anomalous: of `error` (fires) and of `settled_error` (confirms)."""

    error: float
    settled: float

    def __post_init__(self) -> None:
        if not (0 < self.error < np.inf and 0 < self.settled < np.inf):
            raise ValueError(f"a threshold must be above 0 and finite, not {self.error:g} and {self.settled:g}")


class Span(Facts, frozen=True, kw_only=True):
    """Event times [start, end), in ms since the epoch."""

    start: int
    end: int


class Parity(Facts, frozen=True, kw_only=True):
    """Proof that the exported graph does what the network does, at one batch size."""

    batch: int
    relative_difference: float
    threshold_flips: int


class Manifest(Facts, frozen=True, kw_only=True):
    """The facts of an artifact."""

    contract: int = CONTRACT
    name: str
    version: str = ""  # given by the registry
    parent: str | None = None
    autoencoder: str
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1)]
    window: WindowSpec
    settled_smoothing: Annotated[int, Meta(ge=1)] = 1  # windows over which the settled score is averaged
    settled_lag: Annotated[int, Meta(ge=0)] = 0  # ticks after a reading until its settled score, row by row, is known
    threshold: Threshold
    thresholds: dict[str, Threshold] = {}  # of the series that have their own
    budget_per_week: Annotated[float, Meta(gt=0)]  # false episodes per series and week, as calibrated for
    spans: dict[str, Span]  # fit, calibrate, judge
    parity: tuple[Parity, ...]
    report: dict[str, Any] = {}
    files: dict[str, str] = {}  # sha256 of each file
    digest: str = ""  # sha256 of this manifest with an empty digest


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
        files |= {name: data for name, data in zip(OPTIONAL, (self.encoder, self.decoder), strict=True) if data}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        manifest = msgspec.structs.replace(self.manifest, files=digests, digest="")
        manifest = msgspec.structs.replace(manifest, digest=hashlib.sha256(_canonical(manifest)).hexdigest())
        return {**files, MANIFEST: _canonical(manifest)}

    @classmethod
    def decode(cls, files: Mapping[str, bytes], where: str = "artifact") -> Self:
        """The artifact in `files`, every byte checked. Raises ArtifactError that names the file and the fault."""
        manifest = _read_manifest(_there(files, MANIFEST, where), where)
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
        graphs = {name.partition(".")[0]: files[name] for name in more}
        return cls(manifest, files["model.onnx"], files["full.onnx"], known, Golden(**golden), **graphs)


def _there(files: Mapping[str, bytes], name: str, where: str) -> bytes:
    if name not in files:
        raise ArtifactError(f"{where}: {name} is missing; register the version again or promote another")
    return files[name]


def _profiles(manifest: Manifest) -> dict[str, Column]:
    return {"series": Column("U", ("S",)), "table": Column("f", ("profiles", 3, len(manifest.channels)))}


def _golden(manifest: Manifest) -> dict[str, Column]:
    ticks, channels = manifest.window.length, len(manifest.channels)
    shapes = {"windows": ("B", ticks, channels), "profile": ("B", 3, channels), "channel_error": ("B", channels)}
    return {name: Column("f", shapes.get(name, ("B",))) for name in Golden.__match_args__}


def _canonical(manifest: Manifest) -> bytes:
    return msgspec.json.encode(manifest, order="deterministic")


def _read_manifest(data: bytes, where: str) -> Manifest:
    try:
        contract = msgspec.json.decode(data, type=dict[str, Any]).get("contract")
        if contract != CONTRACT:
            raise ArtifactError(
                f"{where}: {MANIFEST} speaks contract {contract!r}, this StreamAE speaks {CONTRACT}; "
                "train the model again or run the StreamAE version that made it"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"{where}: {MANIFEST} is damaged ({error})") from error
    blank = _canonical(msgspec.structs.replace(manifest, digest=""))
    if hashlib.sha256(blank).hexdigest() != manifest.digest or _canonical(manifest) != data:
        raise ArtifactError(f"{where}: {MANIFEST} is damaged or was edited (its digest does not match)")
    return manifest


def _arrays(files: Mapping[str, bytes], name: str, where: str, layout: Mapping[str, Column]) -> dict[str, NDArray[Any]]:
    try:
        return unpack(files[name], layout)
    except Refused as error:
        raise ArtifactError(f"{where}: {name} {error}; register the version again or promote another") from error
