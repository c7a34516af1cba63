"""A small fleet's good readings, and hostile records among them, each with its fate by construction.

A kind either dresses a good reading in bytes that are hard to read, or brings a record of its own beside it: a dead
letter with its reason, a record that nobody asked for, or a reading of nothing but silence.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Literal, NamedTuple

from streamae.detection.readings import Reason
from tests.serving.stand import HOT, at

Fate = Reason | Literal["reading", "skipped", "silence"]

SETTINGS: dict[str, dict[str, Any]] = {
    "windows": {"length": 16, "stride": 4, "max_lag_s": 20.0},
    "readings": {
        "channels": {"channel-0": "$.a", "channel-1": "$.inner.b"},
        "series": "pump-*",
        "max_ahead_s": 600.0,
    },
    "serving": {"commit_interval_ms": 200, "refresh_s": 2.0},
}
LONGEST_RUN = 2_000  # ticks: half an hour, so that no time is ahead of the broker's clock
NAMES = ("\n", "\x00", "\x1b[2J", "[/red]", "é🌡", "\u202e", '"}\\', "%s{}", "'; --", "x" * 990)
PARTITIONS = 4
LATE = 25  # ticks, by which all windows of a tick are closed


class Good(NamedTuple):
    """A good reading."""

    key: bytes
    tick: int
    a: float | None
    b: float | None

    def json(self, time: str = "", a: str = "", b: str = "", rest: str = "") -> bytes:
        """As JSON; parts of it may be given as text."""
        parts = (time or str(at(self.tick)), a or json.dumps(self.a), b or json.dumps(self.b), rest)
        return b'{"time": %b, "a": %b, "inner": {"b": %b}%b}' % tuple(part.encode() for part in parts)


class Kind(NamedTuple):
    """How a hostile record is made of a good reading, and what becomes of it; where the mapping is strict: else."""

    name: str
    fate: Fate
    value: Callable[[Good, Random], bytes | None]
    key: Callable[[Good, Random], bytes | None] = lambda good, _: good.key
    strict: Fate | None = None
    weight: int = 100
    headers: tuple[tuple[str, bytes | None], ...] = ()


def fleet(random: Random, readings: int) -> Iterator[Good]:
    """Good readings in order of time; every third series has a name that is hard to bear."""
    pumps = max(12, -(-readings // LONGEST_RUN))
    keys = [f"pump-{pump}{NAMES[pump // 3 % len(NAMES)] if pump % 3 == 0 else ''}".encode() for pump in range(pumps)]
    hot_until = [0] * pumps
    for number in range(readings):
        tick, pump = divmod(number, pumps)
        if random.random() < 0.01:
            hot_until[pump] = tick + random.randint(4, 30)
        level = HOT if tick < hot_until[pump] else 0.0
        a, b = (None if random.random() < 0.05 else level + round(random.gauss(0, 8)) / 16 for _ in range(2))
        yield Good(keys[pump], tick, a, b)


class Record(NamedTuple):
    """A record to be published, of which kind it is, and its fate."""

    kind: Kind
    fate: Fate
    partition: int
    key: bytes | None
    value: bytes | None
    tick: int


def record(kind: Kind, good: Good, random: Random, strict: bool = False) -> Record:
    """A record of a kind beside a good reading, on its partition."""
    fate = kind.strict if strict and kind.strict else kind.fate
    partition = zlib.crc32(good.key) % PARTITIONS
    return Record(kind, fate, partition, kind.key(good, random), kind.value(good, random), good.tick)
