"""The arithmetic of windows on the time grid, and which of a batch's readings can be handled at once.

N readings, B windows, S slots (series at hand). Times are event times in ms; ticks count cadences from the epoch.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamae.detection.manifest import WindowSpec
from streamae.detection.readings import Readings
from streamae.detection.rings import NEVER, Ints, Rings


class Lateness(msgspec.Struct, frozen=True, kw_only=True):
    """How far a series' watermark trails its newest reading, and how far a series may trail its partition, in ms."""

    lateness_ms: int = 0
    max_lag_ms: int


class Grid:
    """Which windows a tick lies in, and which windows event time has closed."""

    def __init__(self, spec: WindowSpec, lateness: Lateness) -> None:
        self.spec = spec
        self.lateness = lateness

    def horizon(self, newest: Ints, partition_newest: Ints | int) -> Ints:
        """The time up to which windows are closed, where a series' newest and its partition's are these."""
        by_series = newest - self.lateness.lateness_ms
        return np.maximum(by_series, partition_newest - self.lateness.max_lag_ms)

    def first_open(self, horizon: Ints, phase: Ints) -> Ints:
        """Index of the first window that ends after the horizon."""
        return (horizon // self.spec.cadence_ms - self.spec.length - phase) // self.spec.stride + 1

    def first_of(self, tick: Ints, phase: Ints) -> Ints:
        """Index of the first window that holds a tick."""
        return (tick - phase - self.spec.length) // self.spec.stride + 1

    def last_of(self, tick: Ints, phase: Ints) -> Ints:
        """Index of the last window that holds a tick."""
        return (tick - phase) // self.spec.stride

    def start(self, index: Ints, phase: Ints) -> Ints:
        """The first tick of a window."""
        return index * self.spec.stride + phase


class Run:
    """The readings from the start of a batch that can be handled at once: none of them touches a window that another
    of them has closed, and all fit into the rings. The first reading has been accounted for by the caller.
    """

    def __init__(self, grid: Grid, rings: Rings, partition_newest: int, slot: Ints, readings: Readings) -> None:
        tick = readings.time // grid.spec.cadence_ms
        before = self._sort(slot, readings.time, rings.newest)
        newest = np.maximum.accumulate(np.append(partition_newest, readings.time))
        phase, known_open = rings.phase[slot], rings.next[slot]
        now_open = np.maximum(known_open, grid.first_open(grid.horizon(before, newest[:-1]), phase))  # [N]
        late = grid.last_of(tick, phase) < now_open
        touches_closed = np.maximum(grid.first_of(tick, phase), known_open) < now_open
        does_not_fit = tick >= grid.start(known_open, phase) + rings.ticks
        stop = np.flatnonzero(~late & (touches_closed | does_not_fit))
        self.length = int(stop[0]) if len(stop) else len(slot)
        taken = slice(0, self.length)
        self.late, self.slot, self.tick = late[taken], slot[taken], tick[taken]
        self.time, self.values, self.offset = readings.time[taken], readings.values[taken], readings.offset[taken]
        self.partition_newest = newest[1:][taken]
        self._lateness = grid.lateness

    def _sort(self, slot: Ints, time: Ints, newest: Ints) -> Ints:
        """Each reading's series' newest time before it [N]; on the way, what `closed` searches in.

        Sorted by series and then offset, `rank * width + newest so far` never falls: one search does for all series.
        """
        self._order = np.argsort(slot, kind="stable")
        ordered = slot[self._order]
        begins = np.append(True, ordered[1:] != ordered[:-1])
        self._begins, rank = np.flatnonzero(begins), np.cumsum(begins) - 1
        self._earliest, self._width = time.min(), time.max() - time.min() + 2
        self._key = np.maximum.accumulate(rank * self._width + time[self._order] - self._earliest)
        so_far = np.maximum(self._key - rank * self._width + self._earliest, newest[ordered])
        before = np.empty_like(time)
        before[self._order] = np.where(begins, newest[ordered], np.append(NEVER, so_far[:-1]))
        self._ranked = ordered[self._begins]
        return before

    def closed(self, slot: Ints, end: Ints) -> tuple[Ints, Ints]:
        """The offset of the reading that closed each window [B] of these slots and ends, and the partition's newest."""
        by_partition = np.searchsorted(self.partition_newest, end + self._lateness.max_lag_ms)
        rank = np.minimum(np.searchsorted(self._ranked, slot), len(self._ranked) - 1)
        passed = np.clip(end + self._lateness.lateness_ms - self._earliest, 0, self._width - 1)
        place = np.searchsorted(self._key, rank * self._width + passed)
        last = np.append(self._begins, len(self._key))[rank + 1]
        found = (self._ranked[rank] == slot) & (place < last)
        by_series = np.where(found, self._order[np.minimum(place, len(self._order) - 1)], self.length)
        row = np.minimum(np.minimum(by_series, by_partition), self.length - 1)
        return self.offset[row], self.partition_newest[row]


def share_observed(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The share of values [B, T, C] that are there, per window [B]."""
    cells = np.isnan(values).reshape(len(values), values.shape[1] * values.shape[2])
    return np.asarray(1 - np.count_nonzero(cells, axis=1) / cells.shape[1], np.float64)
