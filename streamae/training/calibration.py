"""Calibration: thresholds from an alert budget, on normal errors that were not fitted on.

Pure functions of errors and budget. An episode fires after several anomalous windows in a row, so what is held
against the threshold is the smallest of so many neighbouring errors. Of its largest value in each block of time, a
rule (thresholds.py) makes the threshold that just the share of blocks exceeds that the budget allows.

M windows of one series in order of time, N blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamae.config import ThresholdRule
from streamae.detection.manifest import Threshold, WindowSpec
from streamae.errors import DataError
from streamae.training.series import smoothed_ticks
from streamae.training.thresholds import COUNTING, Doubles, block_maxima, threshold
from streamae.training.views import MOST_ROWS

WEEK_MS = 604_800_000
BLOCK = 2 * MOST_ROWS  # ticks a block, or two windows where those are shorter: neighbours share ticks
ENOUGH = 30  # blocks from which on a series has a threshold of its own
PRIOR = 180  # blocks that the fleet's threshold counts for in it
MOST_SHARE = 0.5  # of the blocks that may be exceeded, however generous the budget
COUNTABLE = 3  # expected false episodes from which on a rate is measured rather than extrapolated


@dataclass(frozen=True)
class Budget:
    """What an operator accepts, and how detection turns errors into episodes."""

    per_week: float  # false episodes per series
    window: WindowSpec
    fire_after: int = 1
    rule: ThresholdRule = "gumbel"

    @property
    def block(self) -> int:
        """Windows in a block."""
        return -(-min(BLOCK, 2 * self.window.length) // self.window.stride)

    @property
    def blocks_per_week(self) -> float:
        """Of one series."""
        return WEEK_MS / (self.block * self.window.stride * self.window.cadence_ms)

    @property
    def share(self) -> float:
        """Of the blocks in which a false episode is allowed."""
        return min(self.per_week / self.blocks_per_week, MOST_SHARE)


@dataclass(frozen=True)
class NormalErrors:
    """Errors of the well-observed windows of one series on the calibrate span, in order of time."""

    series: str
    error: NDArray[np.float32]  # [M]
    settled: NDArray[np.float32]  # [M]


@dataclass(frozen=True)
class Calibrated:
    """Thresholds of the fleet and of the series that have their own; how much they rest on."""

    fleet: Threshold
    series: dict[str, Threshold]
    blocks: int


def settled_smoothing(window: WindowSpec) -> int:
    """Windows over which the settled score is averaged: those that end within 20 ticks, or less for short windows."""
    return max(1, round(smoothed_ticks(window.length) / window.stride))


def calibrate(errors: Sequence[NormalErrors], budget: Budget) -> Calibrated:
    """Thresholds for errors of all series on the calibrate span, each already in units of its profile.

    Where no series has a whole block, the most that one has stands for it. Raises DataError where that is nothing.
    """
    smoothing = settled_smoothing(budget.window)
    causal_errors = {one.series: lasting(one.error, budget.fire_after) for one in errors}
    settled_errors = {one.series: smoothed(one.settled, smoothing) for one in errors}
    longest = max((min(len(causal_errors[name]), len(settled_errors[name])) for name in causal_errors), default=0)
    block = max(min(budget.block, longest), 1)
    causal = {name: block_maxima(values, block) for name, values in causal_errors.items()}
    settled = {name: block_maxima(values, block) for name, values in settled_errors.items()}
    maxima = np.concatenate([*causal.values(), np.empty(0)])
    settled_maxima = np.concatenate([*settled.values(), np.empty(0)])
    if not (len(maxima) and len(settled_maxima)):
        raise DataError(
            "the calibrate span holds too few well-observed windows in a row; "
            "give more history, a larger $.training.spans.calibrate, or leave less of it out"
        )
    fleet = Threshold(
        error=threshold(maxima, budget.share, budget.rule),
        settled=threshold(settled_maxima, budget.share, budget.rule),
    )
    own = {
        name: Threshold(
            error=_shrunk(causal[name], budget, fleet.error),
            settled=_shrunk(settled[name], budget, fleet.settled),
        )
        for name in sorted(causal)
        if len(causal) > 1 and min(len(causal[name]), len(settled[name])) >= ENOUGH
    }
    return Calibrated(fleet, own, len(maxima))


def lasting(error: NDArray[np.float32], fire_after: int) -> Doubles:
    """The largest threshold that the last `fire_after` errors all exceed: [M - fire_after + 1] of [M]."""
    if len(error) < fire_after:
        return np.empty(0)
    return np.asarray(sliding_window_view(error.astype(np.float64), fire_after).min(axis=1))


def smoothed(settled: NDArray[np.float32], windows: int) -> Doubles:
    """Moving average over as many windows as serving averages: [M - windows + 1] of [M]."""
    if len(settled) < windows:
        return np.empty(0)
    return np.asarray(sliding_window_view(settled.astype(np.float64), windows).mean(axis=1))


def promise(calibrated: Calibrated, budget: Budget) -> str:
    """What the thresholds can and cannot promise, in plain words.

    What comes once in longer than was seen, nobody has measured: below one false episode in all of the calibrate span,
    laws extrapolate, and rules that count give no less than that.
    """
    weeks = calibrated.blocks / budget.blocks_per_week
    expected = weeks * budget.per_week
    basis = (
        f"{budget.per_week:g} false episodes per series and week, calibrated on {weeks:.2g} series-weeks of normal "
        f"readings, in which {expected:.2g} would be expected"
    )
    if expected >= COUNTABLE:
        return f"{basis}: enough to measure the rate, which holds as long as normal stays what it was"
    measured = f"only rates above about {COUNTABLE / weeks:.2g} could be measured"
    if budget.rule in COUNTING and expected < 1:
        return (
            f"{basis}: {budget.rule} goes no further than what was seen, so expect {1 / weeks:.2g} or more; {measured}"
        )
    return f"{basis}: too few to measure the rate, so it is extrapolated and may be off by several times; {measured}"


def _shrunk(maxima: Doubles, budget: Budget, fleet: float) -> float:
    """A series' own threshold, drawn towards the fleet's on a log scale as far as its blocks are few."""
    weight = len(maxima) / (len(maxima) + PRIOR)
    return float(threshold(maxima, budget.share, budget.rule) ** weight * fleet ** (1 - weight))
