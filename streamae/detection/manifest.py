"""Manifest: the facts of an artifact, as canonical JSON that proves itself by its digest."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from streamae.detection import derived
from streamae.errors import ArtifactError

CONTRACT = 1
LONGEST_MS = 10**13  # of a window, three centuries: so that times stay whole numbers of 64 bits
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

    A channel that is not `scored` is context: an input that conditions the model but has no error of its own. One that
    is `derived` is context that is made of the others, or of a reading's time; these stand last.
    """

    name: str
    origin: float = 0.0
    scored: bool = True

    @property
    def derived(self) -> bool:
        """Whether it is made instead of measured."""
        return self.name.startswith(derived.MARK)


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

    def __post_init__(self) -> None:
        derived.check(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all channels."""
        return tuple(channel.name for channel in self.channels)

    @property
    def measured(self) -> tuple[str, ...]:
        """The names of the channels that readings have to bring: the first ones."""
        return tuple(channel.name for channel in self.channels if not channel.derived)

    @property
    def context(self) -> tuple[Channel, ...]:
        """The channels that condition the others and are not scored."""
        return tuple(channel for channel in self.channels if not channel.scored)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of the context channels that are measured."""
        return tuple(channel.name for channel in self.context if not channel.derived)

    @property
    def learnt_until(self) -> int:
        """The event time (ms) at which the last span ends."""
        return max(span.end for span in self.spans.values())


def canonical(manifest: Manifest) -> bytes:
    """As bytes, the same for equal manifests."""
    return msgspec.json.encode(manifest, order="deterministic")


def read(data: bytes, where: str) -> Manifest:
    """The manifest in a file, checked. Raises ArtifactError that names the fault."""
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
    blank = canonical(msgspec.structs.replace(manifest, digest=""))
    if hashlib.sha256(blank).hexdigest() != manifest.digest or canonical(manifest) != data:
        raise ArtifactError(f"{where}: {MANIFEST} is damaged or was edited (its digest does not match)")
    return manifest
