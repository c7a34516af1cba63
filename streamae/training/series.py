"""Stored readings on the tick grid: a table -> stretches of each series -> windows to draw from.

Rules, the same as for live readings:
1. Tick k is the event times [k * cadence, (k + 1) * cadence).
2. Per tick and channel the later row wins, whatever its time; silence never overwrites.
3. A row that holds an infinite value, or one beyond float32, is left out.
And for stored ones:
4. Silence as long as a window, the ends of a span and left-out times cut a series into stretches. No window crosses
   a cut, so spans share no reading, and a year of silence costs nothing.

N ticks or rows, T ticks of a window, C channels, B windows, M windows to draw from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamae.config import Spans
from streamae.detection.manifest import Span, WindowSpec
from streamae.detection.windows import phase
from streamae.errors import DataError
from streamae.training.files import Table
from streamae.training.views import MOST_ROWS

SMOOTHED = 20  # ticks over which the settled error is averaged; less for windows shorter than MOST_ROWS
LENGTHS = (128, 64, 32, 16)  # of windows, of which short readings get a shorter one
FEWEST_LENGTHS = 6  # of a window that readings must hold: docs/accuracy.md says what that was chosen by
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stretch:
    """Consecutive ticks of one series."""

    series: str
    first: int  # the tick of row 0, from the epoch
    grid: Floats  # [N, C] less the origin; NaN = silence
    measured: int | None = None  # channels, the first ones; None where all are


class LeftOut(NamedTuple):
    """A time [start, end) in ms of a series that is not normal, or not known to be."""

    series: str
    start: int
    end: int


def origins(table: Table, span: Span) -> list[float]:
    """What to subtract from each channel so that float32 can hold it: 0, or a round number near its level.

    float32 has 24 bits: from a level of 1000 times the spread on, they no longer resolve what a channel does.
    """
    within = (table.time >= span.start) & (table.time < span.end)
    found = []
    for column in table.values[within].T:
        column = column[np.isfinite(column)]
        low, middle, high = np.quantile(column, [0.01, 0.5, 0.99]) if len(column) else (0.0, 0.0, 0.0)
        spread = max(high - low, 1e-3 if high == low else 0.0)
        digits = -int(np.floor(np.log10(spread)))
        found.append(float(np.round(middle, digits)) if abs(middle) > 1000 * spread else 0.0)
    return found


def spans(table: Table, shares: Spans, window: WindowSpec) -> dict[str, Span]:
    """The spans fit, calibrate and judge of a job, by time; no judge where there is not enough left for one.

    Raises DataError where the readings are too short for fit and calibrate.
    """
    first, last = (int(time) // window.cadence_ms for time in (table.time.min(), table.time.max()))
    total = last + 1 - first
    fit_end = first + round(total * shares.fit)
    calibrate_end = first + round(total * (shares.fit + shares.calibrate))
    shortest = shortest_span(window)
    if min(calibrate_end - fit_end, last + 1 - calibrate_end) < shortest:
        calibrate_end = last + 1
    if min(fit_end - first, calibrate_end - fit_end) < shortest:
        needed = int(shortest / min(shares.fit, 1 - shares.fit)) + 1
        raise DataError(
            f"the readings cover {total} ticks of {window.cadence_ms} ms, too few to fit and calibrate on: "
            f"at least {needed} are needed with $.windows.length = {window.length}. "
            "Give more history, or a shorter window or cadence"
        )
    ends = {"fit": (first, fit_end), "calibrate": (fit_end, calibrate_end), "judge": (calibrate_end, last + 1)}
    return {
        name: Span(start=start * window.cadence_ms, end=end * window.cadence_ms)
        for name, (start, end) in ends.items()
        if end > start
    }


def smoothed_ticks(length: int) -> int:
    """Over how many ticks the settled error of windows is averaged."""
    return round(SMOOTHED * min(length, MOST_ROWS) / MOST_ROWS)


def shortest_span(window: WindowSpec) -> int:
    """Ticks that a span has to have room for: a window, wherever the grid begins, and those averaged with it."""
    return window.length + max(smoothed_ticks(window.length), window.stride) + window.stride


def usual(table: Table, cadence_ms: int) -> tuple[int, Spans]:
    """Length of windows and spans for readings of which nothing else is said.

    The longest usual window that has room in fit and in calibrate, and of which all readings hold enough: what is
    learnt from a few times its length does not hold for the next. Few readings are halved between the two, for a judge
    span would tell nothing and a window that is too short for what the process does misses most.
    """
    total = int(table.time.max() - table.time.min()) // cadence_ms + 1
    longest = total // FEWEST_LENGTHS
    needed = {length: shortest_span(WindowSpec(length=length, stride=4, cadence_ms=1)) for length in LENGTHS}
    shares = Spans()
    if total * min(shares.fit, shares.calibrate) < needed[LENGTHS[0]]:
        shares = Spans(fit=0.5, calibrate=0.5)
    room = int(total * min(shares.fit, shares.calibrate))
    return next((length for length in LENGTHS if length <= longest and needed[length] <= room), LENGTHS[-1]), shares


def stretches(table: Table, origin: Sequence[float], window: WindowSpec) -> list[Stretch]:
    """All ticks of all series, by series and time."""
    with np.errstate(over="ignore"):
        values = (table.values - np.asarray(origin)).astype(np.float32)
    sound = ~np.isinf(values).any(axis=1) & ~np.isnan(values).all(axis=1)
    tick = table.time // window.cadence_ms
    rows = np.flatnonzero(sound)
    rows = rows[np.lexsort((tick[rows], table.series[rows]))]  # stable: of one tick, later rows stay later
    series = table.series[rows]
    cuts = np.flatnonzero((np.diff(tick[rows]) > window.length) | (np.diff(series) != 0)) + 1
    parts = np.split(rows, cuts) if len(rows) else []
    return [_stretch(table.names[table.series[part[0]]], tick[part], values[part]) for part in parts]


def _stretch(name: str, tick: Ints, values: Floats) -> Stretch:
    grid = np.full((tick[-1] - tick[0] + 1, values.shape[1]), np.nan, np.float32)
    row, channel = np.nonzero(~np.isnan(values))
    grid[tick[row] - tick[0], channel] = values[row, channel]  # of the same cell, the last one stays
    return Stretch(name, int(tick[0]), grid)


def within(parts: Iterable[Stretch], span: Span, window: WindowSpec, left_out: Iterable[LeftOut] = ()) -> list[Stretch]:
    """What of the stretches lies in a span and is not left out."""
    cadence = window.cadence_ms
    cuts: dict[str, list[tuple[int, int]]] = {}
    for name, start, end in left_out:
        cuts.setdefault(name, []).append((start // cadence, -(-end // cadence)))
    kept = []
    for part in parts:
        keep = np.zeros(len(part.grid) + 2, np.bool_)  # with a false row on each side
        low, high = (
            min(max(tick - part.first, 0), len(part.grid)) for tick in (span.start // cadence, span.end // cadence)
        )
        keep[low + 1 : high + 1] = True
        for start, end in cuts.get(part.series, ()):
            keep[max(start - part.first, 0) + 1 : max(end - part.first, 0) + 1] = False
        keep[-1] = False
        edges = np.flatnonzero(np.diff(keep)).reshape(-1, 2).tolist()
        kept += [replace(part, first=part.first + start, grid=part.grid[start:end]) for start, end in edges]
    return kept


def spacing(table: Table) -> float:
    """The usual time in ms from a reading of a series to its next, in the channel that is read most often; NaN of none.

    In the tall layout a reading holds one channel, so the channels are looked at one by one.
    """
    order = np.lexsort((table.time, table.series))
    found = []
    for column in table.values[order].T:
        rows = order[~np.isnan(column)]
        apart = np.diff(table.time[rows])[np.diff(table.series[rows]) == 0]
        apart = apart[apart > 0]
        found += [float(np.median(apart))] if len(apart) else []
    return min(found, default=np.nan)


def ticks(parts: Iterable[Stretch]) -> Counter[str]:
    """How many ticks there are of each series."""
    found: Counter[str] = Counter()
    for part in parts:
        found[part.series] += len(part.grid)
    return found


class Pool:
    """The windows of some stretches, made when they are drawn: they are never all in memory.

    They lie as they are served: window i of a series covers ticks [i * stride + phase, i * stride + phase + length).
    """

    def __init__(self, parts: Sequence[Stretch], names: Sequence[str], window: WindowSpec, min_observed: float) -> None:
        """`names` are the series that have a profile, in its order; the others have row 0, the fleet's.

        Windows of which less than `min_observed` was observed are left out.
        """
        self.length = window.length
        row = {name: at for at, name in enumerate(names, start=1)}
        starts, rows = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        offset = 0
        for part in parts:
            there = _observed_starts(part.grid[:, : part.measured], window.length, min_observed)
            lead = part.first - phase(part.series, window.stride)
            there = there[(there + lead) % window.stride == 0]
            starts.append(there + offset)
            rows.append(np.full(len(there), row.get(part.series, 0)))
            offset += len(part.grid)
        self._grid: Floats = np.concatenate([part.grid for part in parts]) if parts else np.empty((0, 0), np.float32)
        self._start: Ints = np.concatenate(starts)  # [M]
        self.row: Ints = np.concatenate(rows)  # [M] of the profile

    def __len__(self) -> int:
        return len(self._start)

    @property
    def channels(self) -> int:
        """How many channels a window has."""
        return int(self._grid.shape[1])

    def windows(self, which: Ints) -> Floats:
        """Some of the windows: [len(which), T, C]."""
        found: Floats = self._grid[self._start[which, None] + np.arange(self.length)]
        return found

    def spread(self, most: int) -> Ints:
        """At most so many of the windows, evenly over all: their places [<= most]."""
        return evenly(len(self), most)


def evenly(count: int, most: int) -> Ints:
    """Places of at most so many of `count` things, evenly over all: [<= most]."""
    return np.linspace(0, count - 1, min(most, count)).astype(np.int64)


def _observed_starts(grid: Floats, length: int, min_observed: float) -> Ints:
    """First rows of the windows of which enough was observed."""
    if len(grid) < length:
        return np.empty(0, np.int64)
    there = np.append(0, np.cumsum((~np.isnan(grid)).sum(axis=1)))
    return np.flatnonzero(there[length:] - there[:-length] >= min_observed * length * grid.shape[1])
