"""Readings: columns of what was measured, and what a codec needs to make them from records.

Rules:
1. A record becomes a reading, or a dead letter with a reason from a closed set, or is none of this service's business.
2. `null`, absent and NaN are silence, never zero.
3. Values are decoded to float64, the channel's origin is subtracted, and only then they become float32.

N readings, C channels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamae.detection.derived import MARK


class Reason(StrEnum):
    """Why a record is a dead letter."""

    UNDECODABLE = "undecodable"
    WRONG_TYPE = "wrong_type"
    NO_SERIES = "no_series"
    NO_TIME = "no_time"
    INFINITE = "infinite"
    UNKNOWN_CHANNEL = "unknown_channel"
    AHEAD = "ahead"
    LATE = "late"
    DAMAGED = "damaged"  # what cannot be read at all: records and their number are unknown


class DeadLetter(NamedTuple):
    """A record that could not be a reading: which one, why, and in detail."""

    offset: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one partition in offset order."""

    names: tuple[str, ...]  # the series that occur
    series: NDArray[np.int32]  # [N] index into `names`
    time: NDArray[np.int64]  # [N] event time, ms since the epoch
    values: NDArray[np.float32]  # [N, C] less the origin; NaN = silence
    offset: NDArray[np.int64]  # [N]

    def __len__(self) -> int:
        return len(self.time)

    def part(self, rows: Any) -> Readings:
        """Some of the readings, in the same order; `rows` is a slice or a mask."""
        return Readings(self.names, self.series[rows], self.time[rows], self.values[rows], self.offset[rows])


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record of the user's own schema holds what a reading needs."""

    layout: Literal["wide", "tall"] = "wide"
    series_from: str = "key"
    series: str = "*"
    time: str = "$.time"
    time_unit: Literal["s", "ms", "us", "ns", "iso8601"] = "ms"
    channels: dict[str, str] = {}
    channel: str = "$.channel"
    value: str = "$.value"
    strict: bool = False
    max_ahead_ms: int = 3_600_000

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError('channels is empty: name at least one, as `temperature = "$.temp"`')
        marked = [name for name in self.channels if name.startswith(MARK)]
        if marked:
            raise ValueError(f"{marked[0]}: names that begin with {MARK} are those of derived channels; choose another")
        paths = [self.time, *([] if self.series_from == "key" else [self.series_from])]
        paths += [self.channel, self.value] if self.layout == "tall" else list(self.channels.values())
        places = [parse_path(path) for path in paths]
        for at, place in enumerate(places):
            if any(other[: len(place)] == place for other in places[:at] + places[at + 1 :]):
                raise ValueError(f"{paths[at]} is read twice, or another path leads through it")
        if len(set(self.channels.values())) < len(self.channels):
            raise ValueError("two channels are read from the same place")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of records came to."""

    readings: Readings
    dead: list[DeadLetter]
    skipped: int  # records of series or channels that were not asked for
    exact: NDArray[np.float64]  # [N, C] the readings' values before the origin was subtracted


def parse_path(path: str) -> tuple[str, ...]:
    """The keys of a JSON path: `$.a.b` or `$['a b'].c`. Raises ValueError with the cure."""
    step = r"\.([\w-]+)|\[['\"]([^'\"\\\x00-\x1f]+)['\"]\]"  # msgspec finds no other keys
    if not re.fullmatch(rf"\$(?:{step})+", path):
        raise ValueError(f"`{path}` is not a path: write `$.temperature`, `$.sensor.value` or `$['oil temp']`")
    return tuple(plain or quoted for plain, quoted in re.findall(step, path))


class RecordColumns(NamedTuple):
    """What decoding needs of records: columns of one length."""

    offset: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    key: Sequence[bytes | None]
    value: Sequence[bytes | None]
