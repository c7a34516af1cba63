"""Injection: synthetic anomalies in copies of stored readings, so that what a model would miss is seen.

Four kinds, three sizes, every channel: a level that shifts, one that drifts away, bursts of spikes, added noise; sizes
in what the series' own channel usually does before the span. Places and noise depend on nothing but the readings
and the span, so that both versions see the same. A slot is six windows long, and the anomaly fills the third and
fourth: the quiet around it keeps one from being found as another. Times that are not normal get none.

N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamae.detection.manifest import Span
from streamae.training.files import Table
from streamae.training.matching import Event
from streamae.training.series import LeftOut

SEED = 20_260_101
SLOT, QUIET, LASTS = 6, 2, 2  # windows
SIZES = (1.0, 2.0, 4.0)  # standard deviations
MOST = 96  # anomalies
COPIES = 4  # of the readings, where one has too few slots
MIDDLE = 3.29  # standard deviations from the 5th to the 95th percentile of a normal distribution
OBSERVED = 0.5  # share of the readings during an anomaly in which its channel has to be there

Doubles = NDArray[np.float64]
Effect = Callable[[Doubles, Generator], Doubles]  # progress [N] in [0, 1) -> what is added, in sizes [N]

KINDS: dict[str, Effect] = {
    "shift": lambda progress, rng: np.full(len(progress), rng.choice((-1.0, 1.0))),
    "drift": lambda progress, rng: progress * rng.choice((-1.0, 1.0)),
    "spikes": lambda progress, rng: (np.arange(len(progress)) % 4 == 0) * rng.choice((-1.0, 1.0), len(progress)),
    "noise": lambda progress, rng: rng.standard_normal(len(progress)),
}


class Injected(NamedTuple):
    """A synthetic anomaly: when and whose, and what is done to which channel (its place)."""

    event: Event
    kind: str
    size: float
    channel: int


class Slot(NamedTuple):
    """A place for one anomaly."""

    series: str
    start: int


def plan(
    table: Table, span: Span, window_ms: int, channels: Sequence[int], left_out: Sequence[LeftOut] = ()
) -> list[list[Injected]]:
    """The anomalies of each copy of the readings, in these channels; as many as there is room for, up to MOST."""
    rng = np.random.default_rng(SEED)
    starts = range(span.start, span.end - SLOT * window_ms + 1, SLOT * window_ms)
    slots = [Slot(name, start) for name in table.names for start in starts]
    slots = [slot for slot in slots if not _touches(slot, SLOT * window_ms, left_out)]
    deck = [(kind, size, channel) for kind in KINDS for size in SIZES for channel in channels]
    cards = cycle([deck[at] for at in rng.permutation(len(deck))])
    copies: list[list[Injected]] = []
    while len(copies) < COPIES and slots and sum(map(len, copies)) < MOST:
        room = MOST - sum(map(len, copies))
        order = [slots[at] for at in rng.permutation(len(slots))][:room]
        drawn = [Injected(_event(slot, window_ms), *card) for slot, card in zip(order, cards, strict=False)]
        copies.append([one for one in drawn if _shows(table, one, span.start)])
    return [sorted(copy) for copy in copies if copy]


def spoil(table: Table, anomalies: Sequence[Injected], before: int) -> Table:
    """The readings with anomalies in them; sizes are taken from what a series did before a time (ms)."""
    values = table.values.copy()
    for one in anomalies:
        rows = _rows(table, one.event)
        rng = np.random.default_rng([SEED, one.event.start % 2**32, one.channel, table.names.index(one.event.series)])
        progress = (table.time[rows] - one.event.start) / (one.event.end - one.event.start)
        values[rows, one.channel] += one.size * spread(table, one, before) * KINDS[one.kind](progress, rng)
    return replace(table, values=values)


def spread(table: Table, anomaly: Injected, before: int) -> float:
    """What a series' channel usually does before a time (ms), or ever: 1 where it is a standard normal one.

    From the 5th to the 95th percentile, so that faults in the past do not count; 0 where it stands still.
    """
    own = table.series == table.names.index(anomaly.event.series)
    for rows in (own & (table.time < before), own):
        column = table.values[rows, anomaly.channel]
        column = column[np.isfinite(column)]
        if len(column):
            low, high = np.quantile(column, [0.05, 0.95])
            return float((high - low) / MIDDLE or column.std())
    return 0.0


def _event(slot: Slot, window_ms: int) -> Event:
    start = slot.start + QUIET * window_ms
    return Event(slot.series, start, start + LASTS * window_ms)


def _touches(slot: Slot, lasts: int, left_out: Sequence[LeftOut]) -> bool:
    return any(
        one.series == slot.series and one.start < slot.start + lasts and one.end > slot.start for one in left_out
    )


def _rows(table: Table, event: Event) -> NDArray[np.bool_]:
    own = table.series == table.names.index(event.series)
    return np.asarray(own & (table.time >= event.start) & (table.time < event.end))


def _shows(table: Table, anomaly: Injected, before: int) -> bool:
    """Whether the channel is there often enough, and moves at all."""
    there = np.isfinite(table.values[_rows(table, anomaly.event), anomaly.channel])
    return len(there) > 0 and float(there.mean()) >= OBSERVED and spread(table, anomaly, before) > 0
