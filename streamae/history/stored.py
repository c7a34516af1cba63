"""Stored readings as detection takes them: columns in the order of event time, slice by slice.

Rules:
1. Readings come by tick, and within a tick in the order in which they are stored, as offsets would count them: so none
   is late, and of one tick and channel the later row wins.
2. A row that holds an infinite value, or one beyond float32, is no reading. A row of nothing but silence is one.

N readings, B windows, T ticks, C channels, S series.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamae.detection.derived import completed
from streamae.detection.grid import Lateness
from streamae.detection.manifest import Manifest, WindowSpec
from streamae.detection.readings import Readings
from streamae.detection.windows import Windower
from streamae.errors import DataError
from streamae.training.files import Table

CELLS = 4_000_000  # values in the windows of one slice, so that memory does not grow with window or channels
FEWEST, MOST = 256, 8192  # readings in a slice

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stored:
    """The readings of a table that can be scored, in the order in which they would have come."""

    names: tuple[str, ...]  # [S]
    series: NDArray[np.int32]  # [N] index into names
    time: Ints  # [N] ms; ticks ascend
    values: NDArray[np.float32]  # [N, C] less the origin; NaN = silence
    window: WindowSpec
    measured: int  # channels, the first ones

    @classmethod
    def of(cls, table: Table, manifest: Manifest) -> Self:
        """The readings of a table for a model. Raises DataError where there are none."""
        origin = np.array([channel.origin for channel in manifest.channels])
        with np.errstate(over="ignore"):
            values = (completed(manifest.names, table.time, table.values) - origin).astype(np.float32)
        tick = table.time // manifest.window.cadence_ms
        order = np.argsort(tick, kind="stable")
        order = order[~np.isinf(values).any(axis=1)[order]]
        if not len(order) or np.isnan(values[order]).all():
            raise DataError("no row holds a finite value, so there is nothing to score; look at the channels' columns")
        series = table.series[order].astype(np.int32)
        return cls(table.names, series, table.time[order], values[order], manifest.window, len(manifest.measured))

    def __len__(self) -> int:
        return len(self.time)

    @property
    def tick(self) -> Ints:
        """The tick of each reading [N], from the epoch."""
        return self.time // self.window.cadence_ms

    @property
    def end(self) -> int:
        """The end of the newest reading's tick, ms."""
        return (int(self.time[-1]) // self.window.cadence_ms + 1) * self.window.cadence_ms

    def windower(self, lateness: Lateness) -> Windower:
        """A windower with room for a slice of these readings."""
        slack, channels = self._slice // len(self.names), self.values.shape[1]
        return Windower(self.window, lateness, channels, slack, self.measured)

    def slices(self) -> Iterator[Readings]:
        """All readings; their offsets count from 0."""
        for at in range(0, len(self), self._slice):
            rows = slice(at, at + self._slice)
            there, series = np.unique(self.series[rows], return_inverse=True)
            names = tuple(self.names[one] for one in there.tolist())
            offset = np.arange(at, at + len(series), dtype=np.int64)
            yield Readings(names, series.astype(np.int32), self.time[rows], self.values[rows], offset)

    @property
    def _slice(self) -> int:
        cells = self.window.length * self.values.shape[1] / self.window.stride  # that one reading brings about
        return int(np.clip(CELLS / cells, FEWEST, MOST))


class Cuts:
    """Windows of stored readings, cut out again where they are wanted: they are never all in memory."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._index = {name: at for at, name in enumerate(stored.names)}
        self._rows = np.argsort(stored.series, kind="stable")  # by series, then as they came
        self._begin = np.searchsorted(stored.series[self._rows], np.arange(len(stored.names) + 1))
        self._tick = stored.tick

    def window(self, series: str, start: int, ticks: int | None = None) -> NDArray[np.float32]:
        """The values [T, C] of a series from `start` (ms) on, NaN = silence: a window's length, or so many ticks."""
        stored = self._stored
        first, length = start // stored.window.cadence_ms, ticks or stored.window.length
        at = self._index[series]
        rows = self._rows[self._begin[at] : self._begin[at + 1]]
        low, high = np.searchsorted(self._tick[rows], [first, first + length])
        rows = rows[low:high]
        found = np.full((length, stored.values.shape[1]), np.nan, np.float32)
        row, channel = np.nonzero(~np.isnan(stored.values[rows]))
        found[self._tick[rows][row] - first, channel] = stored.values[rows][row, channel]  # the last one stays
        return found
