"""Rings: the ticks of the open windows of every series at hand, as arrays that grow and are used again.

S slots (one a series), R ticks of a ring, C channels. A cell holds what tick k brought at k % R; cells outside
the open ticks are empty, so that what is read is always what was written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEVER = -(2**60)  # earlier than any event time or tick
NOWHERE = 2**62  # beyond any offset

Ints = NDArray[np.int64]


def ranges(low: Ints, count: Ints) -> tuple[Ints, Ints]:
    """The numbers low[j], low[j] + 1, ... (count[j] of them) of every j in turn, and the j of each."""
    owner = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return owner, low[owner] + within


class Rings:
    """Values and offsets of open ticks, with each series' place in event time."""

    def __init__(self, ticks: int, channels: int) -> None:
        self.ticks = ticks
        self.index: dict[str, int] = {}
        self.names: list[str] = []  # [S]
        self.phase: Ints = np.empty(0, np.int64)  # [S] ticks
        self.next: Ints = np.empty(0, np.int64)  # [S] index of the first open window
        self.newest: Ints = np.empty(0, np.int64)  # [S] newest event time, ms
        self.filled: Ints = np.empty(0, np.int64)  # [S] newest tick that was written
        self.values: NDArray[np.float32] = np.empty((0, ticks, channels), np.float32)  # [S, R, C]
        self.offset: Ints = np.empty((0, ticks), np.int64)  # [S, R] lowest offset of a reading at that tick
        self._free: list[int] = []

    def slots(self, names: Sequence[str]) -> Ints:
        """The slot of each named series; -1 where it has none."""
        return np.array([self.index.get(name, -1) for name in names], np.int64)

    def add(self, name: str, phase: int, first_open: int) -> int:
        """Give a series a slot; its first open window is `first_open`."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self.index[name] = slot
        self.names[slot] = name
        self.phase[slot], self.next[slot] = phase, first_open
        return slot

    def write(self, slot: Ints, tick: Ints, values: NDArray[np.float32], offset: Ints) -> None:
        """Write readings in offset order: slot [N], tick [N], values [N, C], offset [N]."""
        place = tick % self.ticks
        row, channel = np.nonzero(~np.isnan(values))
        self.values[slot[row], place[row], channel] = values[row, channel]  # of equal places the last one stays
        np.minimum.at(self.offset, (slot, place), offset)
        np.maximum.at(self.filled, slot, tick)

    def read(self, slot: Ints, first: Ints, length: int) -> tuple[NDArray[np.float32], Ints]:
        """Stretches of `length` ticks from `first` [B]: their values [B, T, C] and offsets [B, T]."""
        place = (first % self.ticks)[:, None] + np.arange(length)
        place -= self.ticks * (place >= self.ticks)
        place += slot[:, None] * self.ticks  # among all cells, which are taken faster than by slot and place
        values = self.values.reshape(-1, self.values.shape[2]).take(place, axis=0)
        offset = self.offset.reshape(-1).take(place)
        if (first + length - 1 > self.filled[slot]).any():
            # Nothing came yet beyond what was filled: the ring may hold an older tick there.
            beyond = first[:, None] + np.arange(length) > self.filled[slot][:, None]
            values[beyond], offset[beyond] = np.nan, NOWHERE
        return values, offset

    def clear(self, slot: Ints, first: Ints, count: Ints) -> None:
        """Empty `count` ticks from `first` on, of each slot."""
        owner, tick = ranges(first, np.minimum(count, self.ticks))
        self.values[slot[owner], tick % self.ticks] = np.nan
        self.offset[slot[owner], tick % self.ticks] = NOWHERE

    def release(self, slots: Ints) -> None:
        """Forget the series in these slots; their cells are empty already."""
        for slot in slots.tolist():
            del self.index[self.names[slot]]
            self.names[slot] = ""
        self.newest[slots] = self.filled[slots] = NEVER
        self._free += slots.tolist()

    def _grow(self) -> None:
        old, more = len(self.names), max(16, len(self.names))
        self.names += [""] * more
        self.phase = np.append(self.phase, np.zeros(more, np.int64))
        self.next = np.append(self.next, np.zeros(more, np.int64))
        self.newest = np.append(self.newest, np.full(more, NEVER))
        self.filled = np.append(self.filled, np.full(more, NEVER))
        empty = np.full((more, *self.values.shape[1:]), np.nan, np.float32)
        self.values = np.concatenate([self.values, empty])
        self.offset = np.concatenate([self.offset, np.full((more, self.ticks), NOWHERE)])
        self._free += range(old + more - 1, old - 1, -1)
