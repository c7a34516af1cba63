"""Windower: live readings -> closed windows. It holds every open window of one partition.

Rules, decided reading by reading in offset order (how a poll cuts the log never matters):
1. Tick k of the grid is the event times [k * cadence, (k + 1) * cadence).
2. Window i of a series is the ticks [i * stride + phase, i * stride + phase + length); the phase comes from the
   series' name, so that a fleet's windows do not all close at once.
3. A window is closed once its end <= max(the series' newest - lateness, the partition's newest - max lag).
4. A reading all of whose windows are closed is late: it is set aside and changes nothing.
5. Per tick and channel the last value by offset wins; silence never overwrites.
6. Only a window that holds a reading is given out; a series without a reading in an open window is forgotten.

Rule 6 loses nothing: stride <= length puts a series' newest reading into an open window until the partition's own
newest closes it, and from then on the partition's decides.

Letters: N readings, B windows, T ticks of a window, C channels, S slots (series at hand).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamae.detection.grid import Grid, Lateness, Run, share_observed
from streamae.detection.manifest import WindowSpec
from streamae.detection.readings import Readings
from streamae.detection.rings import NEVER, NOWHERE, Ints, Rings, ranges

LONGEST_RUN = 8192  # readings handled at once

Closed = Callable[[Ints, Ints], tuple[Ints, Ints]]  # slot [B], end [B] -> offset and partition's newest at closing [B]


@dataclass(frozen=True, slots=True)
class Windows:
    """Closed windows, in the order in which they closed."""

    series: list[str]  # [B]
    start: Ints  # [B] event time, ms
    end: Ints  # [B] event time, ms, exclusive
    values: NDArray[np.float32]  # [B, T, C]; NaN = silence
    observed: NDArray[np.float64]  # [B] share of the values that are there
    first_offset: Ints  # [B] the lowest offset of its readings
    closed_offset: Ints  # [B] the offset of the reading that closed it
    closed_at: Ints  # [B] the partition's event time by which it was closed, ms

    def __len__(self) -> int:
        return len(self.series)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a batch of readings brought about."""

    windows: Windows
    late: NDArray[np.bool_]  # [N]


def phase(series: str, stride: int) -> int:
    """The tick within a stride at which a series' windows start."""
    return zlib.crc32(series.encode()) % stride


class Windower:
    """The open windows of one partition's series."""

    def __init__(
        self, spec: WindowSpec, lateness: Lateness, channels: int, slack: int = 0, measured: int | None = None
    ) -> None:
        """`slack` are further ticks that each series has room for: long batches are then taken in fewer runs.

        Of `channels` the first `measured` ones are, if that is said, and only these are observed.
        """
        self._measured = channels if measured is None else measured
        self.partition_newest = NEVER
        self._grid = Grid(spec, lateness)
        open_ticks = spec.length + spec.stride + -(-lateness.lateness_ms // spec.cadence_ms) + 1
        self._rings = Rings(open_ticks + max(slack, spec.length), channels)  # a poll is rarely cut

    def push(self, readings: Readings) -> Pushed:
        """Take readings in offset order; give out the windows that they close, and which of them were late."""
        late = np.zeros(len(readings), np.bool_)
        slot = self._slots(readings)
        parts = []
        at = 0
        while at < len(readings):
            rows = slice(at, at + LONGEST_RUN)
            parts.append(self._arrive(slot[at], readings.time[at], readings.offset[at]))
            run = Run(self._grid, self._rings, self.partition_newest, slot[rows], readings.part(rows))
            parts.append(self._take(run))
            late[at : at + run.length] = run.late
            at += run.length
        self._forget()
        return Pushed(_join(parts) if parts else no_windows(self._grid.spec.length, readings.values.shape[1]), late)

    def catch_up(self, partition_newest: int) -> Windows:
        """Move the partition's event time on without a reading; gives out the windows that this closes."""
        self.partition_newest = max(self.partition_newest, partition_newest)
        closed = self._close(lambda slot, end: (np.zeros_like(end), end))
        self._forget()
        return closed

    def replay_from(self) -> int | None:
        """The lowest offset of any reading in an open window; None where there is none."""
        lowest = int(self._rings.offset.min(initial=NOWHERE))
        return lowest if lowest < NOWHERE else None

    def series(self) -> list[str]:
        """The series that have a reading in an open window."""
        return list(self._rings.index)

    def has_room(self, readings: Readings, most: int) -> bool:
        """Whether no more than `most` series would be at hand; of several readings a careful guess."""
        new = sum(name not in self._rings.index for name in readings.names)
        if not new or len(self._rings.index) + new <= most:
            return True
        return len(readings) == 1 and self._left_at(int(readings.time[0])) + new <= most

    def _left_at(self, time: int) -> int:
        """How many series stay at hand once the partition's event time is there."""
        rings, grid = self._rings, self._grid
        horizon = grid.horizon(rings.newest, max(self.partition_newest, time))
        base = grid.start(np.maximum(rings.next, grid.first_open(horizon, rings.phase)), rings.phase)
        held = np.array(list(rings.index.values()), np.int64)
        return int((rings.filled[held] >= base[held]).sum())

    def _slots(self, readings: Readings) -> Ints:
        """The slot of every reading [N]; a new series gets one, its windows open from its first reading on."""
        slots = self._rings.slots(readings.names)
        if (slots < 0).any():
            _, first = np.unique(readings.series, return_index=True)
            phases = np.array([phase(name, self._grid.spec.stride) for name in readings.names], np.int64)
            began = readings.time[first] - self._grid.lateness.lateness_ms
            first_open = self._grid.first_open(began, phases)
            for new in np.flatnonzero(slots < 0).tolist():
                slots[new] = self._rings.add(readings.names[new], int(phases[new]), int(first_open[new]))
        return slots[readings.series]

    def _arrive(self, slot: np.int64, time: np.int64, offset: np.int64) -> Windows:
        """Close what a run's first reading closes, before it is written: it may be far ahead of all before it."""
        self._rings.newest[slot] = max(self._rings.newest[slot], time)
        newest = self.partition_newest = max(self.partition_newest, int(time))
        return self._close(lambda slot, end: (np.full_like(end, offset), np.full_like(end, newest)))

    def _take(self, run: Run) -> Windows:
        """Write a run of readings, then close what they close."""
        rows = np.flatnonzero(~run.late)
        self._rings.write(run.slot[rows], run.tick[rows], run.values[rows], run.offset[rows])
        np.maximum.at(self._rings.newest, run.slot, run.time)
        self.partition_newest = int(run.partition_newest[-1])
        return self._close(run.closed)

    def _close(self, closed: Closed) -> Windows:
        """Give out the windows that event time has passed, and make room; `closed` tells by which reading."""
        rings, grid = self._rings, self._grid
        horizon = grid.horizon(rings.newest, self.partition_newest)
        now_open = np.maximum(rings.next, grid.first_open(horizon, rings.phase))
        last = np.minimum(now_open - 1, grid.last_of(rings.filled, rings.phase))
        slot, index = ranges(rings.next, np.maximum(last - rings.next + 1, 0))
        first = grid.start(index, rings.phase[slot])
        values, offsets = rings.read(slot, first, grid.spec.length)
        base, beyond = grid.start(rings.next, rings.phase), grid.start(now_open, rings.phase)
        used = np.flatnonzero((beyond > base) & (rings.filled >= base))
        rings.clear(used, base[used], (beyond - base)[used])
        rings.next = now_open
        return self._give_out(slot, first, values, offsets.min(axis=1, initial=NOWHERE), closed)

    def _give_out(self, slot: Ints, first: Ints, values: NDArray[np.float32], lowest: Ints, closed: Closed) -> Windows:
        """The windows [B] of these slots and first ticks that hold a reading, in the order in which they closed."""
        kept = np.flatnonzero(lowest < NOWHERE)
        start = first[kept] * self._grid.spec.cadence_ms
        end = start + self._grid.spec.length_ms
        offset, at = closed(slot[kept], end)
        at = np.minimum(at, end + self._grid.lateness.max_lag_ms)  # event time may have leapt over it
        order = np.argsort(offset, kind="stable")
        values = values[kept[order]]  # the one copy
        return Windows(
            series=[self._rings.names[one] for one in slot[kept[order]].tolist()],
            start=start[order],
            end=end[order],
            values=values,
            observed=share_observed(values[:, :, : self._measured]),
            first_offset=lowest[kept[order]],
            closed_offset=offset[order],
            closed_at=at[order],
        )

    def _forget(self) -> None:
        rings = self._rings
        base = self._grid.start(rings.next, rings.phase)
        held = np.array(list(rings.index.values()), np.int64)
        rings.release(held[rings.filled[held] < base[held]])


def no_windows(length: int, channels: int) -> Windows:
    """No windows, in the right shapes."""
    none = np.empty(0, np.int64)
    return Windows([], none, none, np.empty((0, length, channels), np.float32), np.empty(0), none, none, none)


def _join(parts: list[Windows]) -> Windows:
    if len(parts) == 1:
        return parts[0]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in Windows.__slots__ if name != "series"
    }
    return Windows(series=[name for part in parts for name in part.series], **columns)
