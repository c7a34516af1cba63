"""Good readings among hostile records, in the order in which they are published, and the good ones alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random

from tests.hostile.kinds import DRESSED, HOSTILE
from tests.hostile.records import Good, Kind, Record, fleet, record

HOSTILE_SHARE = 0.8  # hostile records a good reading


def mixed(seed: int, count: int, strict: bool) -> Iterator[Record]:
    """About so many records; every kind comes at least once, if they are a thousand."""
    random = Random(f"mixed {seed}")
    bare = [kind for kind in DRESSED if strict and kind.strict]  # of those that a strict mapping refuses
    dressed, hostile = _kinds(random, [kind for kind in DRESSED if kind not in bare]), _kinds(random, HOSTILE + bare)
    for good in _fleet(seed, count):
        yield record(next(dressed), good, random, strict)
        if random.random() < HOSTILE_SHARE:
            yield record(next(hostile), good, random, strict)


def alone(seed: int, count: int) -> Iterator[Record]:
    """The good readings of the same mixture, as plain as can be."""
    random, plain = Random(seed), DRESSED[0]
    return (record(plain, good, random) for good in _fleet(seed, count))


def _fleet(seed: int, count: int) -> Iterator[Good]:
    return fleet(Random(f"fleet {seed}"), round(count / (1 + HOSTILE_SHARE)))


def _kinds(random: Random, kinds: list[Kind]) -> Iterator[Kind]:
    yield from random.sample(kinds, len(kinds))
    weights = list(itertools.accumulate(kind.weight for kind in kinds))
    while True:
        yield from random.choices(kinds, cum_weights=weights, k=1000)
