"""A seeded fleet's log, with all that a field brings: disorder, gaps, silence, late readings, and what is no reading.

Values are sixteenths, so that the tiny graph's sums are exact: whatever else shares a batch with a window, its scores
have the same bits, and a difference that a test finds is the service's.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from itertools import count
from random import Random
from typing import Any

import msgspec

from streamae.topics.topics import Output
from tests.serving.stand import HOT, at

PUMPS = 24
LENGTH, STRIDE = 16, 4  # of the windows that find the episodes
SETTINGS = {
    "windows": {"length": LENGTH, "stride": STRIDE, "lateness_s": 3.0, "max_lag_s": 20.0},
    "readings": {"max_ahead_s": 7200.0},
}

USES: dict[str, dict[str, Any]] = {
    "serving": {"uses": ["embed", "clean", "impute"]},
    "training": {"objective": "masked"},
}


def fleet_log(topic: str, seed: int, ticks: int) -> list[Output]:
    """All records in the order in which they are published; no two have the same value."""
    random = Random(seed)
    arrivals = [arrival for pump in range(PUMPS) for arrival in _pump(random, f"pump-{pump}", range(ticks))]
    ordered = [record for _, record in sorted(arrivals, key=lambda arrival: arrival[0])]
    return [_output(topic, record, number) for number, record in enumerate(ordered)]


def endless_log(topic: str, seed: int, pumps: int, first: int) -> Iterator[list[Output]]:
    """The records of a fleet of any size from a tick on, without an end: what arrives during one tick after another."""
    each = [_pump(Random(f"{seed} {pump}"), f"pump-{pump}", count(first)) for pump in range(pumps)]
    ahead = [next(pump) for pump in each]
    waiting: list[tuple[float, Record]] = []
    numbers = count()
    for tick in count(first):
        for at_pump, pump in enumerate(each):
            while ahead[at_pump][1][2] <= tick:
                heapq.heappush(waiting, ahead[at_pump])
                ahead[at_pump] = next(pump)
        arrived: list[Output] = []
        while waiting and waiting[0][0] <= tick:
            arrived.append(_output(topic, heapq.heappop(waiting)[1], next(numbers)))
        yield arrived


def _output(topic: str, record: Record, number: int) -> Output:
    key, value, tick = record
    return Output(topic, key, value.replace(b"NUMBER", b"%d" % number), None, (), at(tick))


Record = tuple[bytes, bytes, int]  # key, value, tick


def _pump(random: Random, name: str, ticks: Iterable[int]) -> Iterator[tuple[float, Record]]:
    """A pump's records, each with the tick at which it arrives."""
    hot_until = gone_until = -math.inf
    key = name.encode()
    for tick in ticks:
        if random.random() < 0.012:
            hot_until = tick + random.randint(4, 30)
        if random.random() < 0.004:
            gone_until = tick + random.randint(2, 90)
        if tick < gone_until:
            continue
        level = HOT if tick < hot_until else 0.0
        a, b = (None if random.random() < 0.05 else level + round(random.gauss(0, 8)) / 16 for _ in range(2))
        value = b'{"time": %d, "a": %s, "b": %s, "n": NUMBER}' % (at(tick), _json(a), _json(b))
        yield tick + random.uniform(0, 4), (key, value, tick)
        if random.random() < 0.02:
            yield _oddity(random, key, tick)


def _oddity(random: Random, key: bytes, tick: int) -> tuple[float, Record]:
    """A record that comes far too late, or that is no reading."""
    if random.random() < 0.4:
        return tick + random.uniform(60, 120), (key, b'{"time": %d, "a": 1.0, "n": NUMBER}' % at(tick), tick)
    bad = random.choice(
        [
            b'{"n": NUMBER',
            b'{"time": %d, "a": "hot", "n": NUMBER}' % at(tick),
            b'{"a": 1.0, "n": NUMBER}',
            b'{"time": %d, "a": 1.0, "n": NUMBER}' % at(tick + 9000),
        ]
    )
    return tick + random.uniform(0, 4), (key, bad, tick)


def _json(value: float | None) -> bytes:
    return msgspec.json.encode(value)
