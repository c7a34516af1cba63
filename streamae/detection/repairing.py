"""Repairing: what a model rebuilds of a window, put in place of noise and of silence.

A model leaves something over of every window: noise, and what it does not know. How much of that is worth keeping was
measured on the calibrate span:

    cleaned = rebuilt + sum_s kernel_s * near_(t+s) + trust * (level - rebuilt) + far_t
                a Wiener filter of the rest as far as it may be noise (Wiener, "Extrapolation, Interpolation, and
                Smoothing of Stationary Time Series", 1949), drawn to the window's mean where that says more than
                the model does; what is further off stays as it is, for it is what somebody looks for
    filled  = rebuilt + weight_d * near + far    the rest of a silent cell, between those of its neighbours
                (Hengl et al., "About regression-kriging", 2007, eq. 3)

B windows, T ticks, C channels, S taps, D classes of how far the neighbours are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamae.detection.archives import Column
from streamae.detection.manifest import WindowSpec

REACH = 4  # ticks on each side that the filter looks at
TAPS = 2 * REACH + 2  # the last one is of the level
STEPS = np.array([2, 3, 5, 9, 17])  # ticks to the nearest neighbour, where one class ends and the next begins
CLASSES = 2 * (len(STEPS) + 1) + 1  # neighbours on both sides, on one, none at all
MOST_LAG = 16  # ticks: a cell is rebuilt best with what came after it, too
LEAST_OBSERVED = 0.2  # of a window's values: of less, nothing is filled
FAR = 1 << 30

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Repair:
    """What was measured on the calibrate span; spreads are in scales of the channel."""

    kernel: Floats  # [S, C]
    rest: Floats  # [3, C] of what the model leaves over: spread, correlation from tick to tick, most that may be noise
    weight: Floats  # [D, C]; D = 0 for a kind that cannot fill
    spread: Floats  # [D, C] of what is filled around what was there

    @property
    def fills(self) -> bool:
        """Whether silence can be filled."""
        return len(self.weight) > 0

    @classmethod
    def columns(cls, channels: int) -> dict[str, Column]:
        """The shapes of its arrays in a file."""
        heights: dict[str, int | str] = {"kernel": TAPS, "rest": 3, "weight": "D", "spread": "D"}
        return {name: Column("f", (height, channels)) for name, height in heights.items()}


class Filled(NamedTuple):
    """Windows [B, T, C] with silence filled, and the standard error of each filled value; NaN where measured."""

    values: Floats
    uncertainty: Floats


def given_out(window: WindowSpec) -> slice:
    """The ticks of a window that are given out when it closes: one stride, so that each tick comes once.

    They lie so far from its ends that they are rebuilt from both sides.
    """
    last = window.length - min(MOST_LAG, (window.length - window.stride) // 2)
    return slice(last - window.stride, last)


def clean(windows: Floats, rebuilt: Floats, scale: Floats, repair: Repair) -> Floats:
    """Windows [B, T, C], whose channels have these scales [B, C], without what is most likely noise; NaN stays NaN."""
    ticks = windows.shape[1]
    rest = windows - rebuilt
    most = repair.rest[2] * scale[:, None]
    near = np.clip(np.nan_to_num(rest, nan=0.0), -most, most)
    padded = np.pad(near, ((0, 0), (REACH, REACH), (0, 0)))
    kept = sum(padded[:, at : at + ticks] * tap for at, tap in enumerate(repair.kernel[:-1]))
    drawn = repair.kernel[-1] * (level(windows) - rebuilt)
    return np.asarray(rebuilt + kept + drawn + (rest - near), np.float32)


def level(windows: Floats) -> Floats:
    """The mean of what is there [B, 1, C] of each channel of windows [B, T, C]; 0 where nothing is."""
    there = np.maximum((~np.isnan(windows)).sum(axis=1, keepdims=True), 1)
    return np.asarray(np.nansum(windows, axis=1, keepdims=True, dtype=np.float64) / there, np.float32)


def fill(windows: Floats, rebuilt: Floats, scale: Floats, repair: Repair) -> Filled:
    """Fill the silence of windows [B, T, C] whose channels have these scales [B, C].

    Of a window that holds less than LEAST_OBSERVED of its values nothing is filled, nor what lies before its first
    reading: it stays NaN.
    """
    silent = np.isnan(windows)
    begun = np.logical_or.accumulate(~silent.all(axis=2, keepdims=True), axis=1)
    enough = (~silent).mean(axis=(1, 2), keepdims=True) >= LEAST_OBSERVED
    rest, distance = bridge(windows - rebuilt, ~silent)
    channel = np.arange(windows.shape[2])
    filled = silent & enough & begun
    most = repair.rest[2] * scale[:, None]
    near = np.clip(rest, -most, most)
    values = np.where(filled, rebuilt + repair.weight[distance, channel] * near + (rest - near), windows)
    spread = repair.spread[distance, channel] * scale[:, None]
    return Filled(values, np.where(filled, spread, np.float32(np.nan)))


def bridge(rest: Floats, observed: Bools) -> tuple[Floats, Ints]:
    """The rest of silent cells [B, T, C], straight between their neighbours in time; and the class of each cell.

    With a neighbour on one side only it is that one's, without any it is 0.
    """
    ticks = rest.shape[1]
    tick = np.arange(ticks).reshape(1, -1, 1)
    before = np.maximum.accumulate(np.where(observed, tick, -FAR), axis=1)
    after = np.minimum.accumulate(np.where(observed, tick, FAR)[:, ::-1], axis=1)[:, ::-1]
    to_before, to_after = tick - before, after - tick
    left, right = (np.take_along_axis(rest, at.clip(0, ticks - 1), axis=1) for at in (before, after))
    sides = (before >= 0).astype(np.int64) + (after < ticks)
    share = (to_before / np.maximum(to_before + to_after, 1)).astype(np.float32)
    between = np.where(sides == 2, left + (right - left) * share, np.where(before >= 0, left, right))
    step = np.searchsorted(STEPS, np.minimum(to_before, to_after), side="right")
    steps = len(STEPS) + 1
    place = np.where(sides == 2, step, np.where(sides == 1, steps + step, 2 * steps))
    return np.where(sides > 0, between, np.float32(0)), place
