"""BudgetKeeper: keeps a series to its alert budget where normal is no longer what it was calibrated on.

Rules:
1. Each episode that has fired doubles the threshold of its series when it ends. (Withdrawn ones do not count.)
2. What was raised falls back evenly on a log scale, by a half each half of the time in which the budget allows one
   episode, and never below the calibrated threshold. So a series that fires within its budget is at its own threshold
   most of the time, and one that fires at more than twice its budget gets an ever higher one.
3. All of it is a function of event time: of the ends of past episodes, and of the end of the window at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

WEEK_MS = 604_800_000
RISE = math.log(2)
HIGHEST = 100 * RISE  # what nothing measured reaches; so that no number overflows

Moment = Annotated[int, Meta(ge=-(2**62), lt=2**62)]  # event time, ms


class Raised(msgspec.Struct, frozen=True):
    """A series' threshold, as its last episode left it."""

    series: str
    log: Annotated[float, Meta(ge=0, le=HIGHEST)]  # above the calibrated threshold
    at: Moment  # event time, ms


class BudgetKeeper:
    """The raised thresholds of the series of one partition. Without a budget none is ever raised."""

    def __init__(self, per_week: float | None) -> None:
        self.per_week = per_week  # false episodes per series
        self._raised: dict[str, Raised] = {}

    def factor(self, series: str, time: int) -> float:
        """How many times its calibrated threshold that of a series is, at an event time (ms): at least 1."""
        return math.exp(self._log(series, time))

    def rise(self, series: str, time: int) -> None:
        """An episode has ended."""
        if self.per_week is not None:
            self._raised[series] = Raised(series, min(self._log(series, time) + RISE, HIGHEST), time)

    def forget(self, time: int) -> None:
        """Drop what has fallen back by an event time (ms) before which no window ends any more."""
        self._raised = {name: one for name, one in self._raised.items() if self._log(name, time) > 0}

    def dump(self) -> list[Raised]:
        """All that is raised, by series."""
        return [self._raised[name] for name in sorted(self._raised)]

    def load(self, raised: Iterable[Raised]) -> None:
        """Take over what `dump` gave."""
        self._raised = {one.series: one for one in raised}

    def _log(self, series: str, time: int) -> float:
        raised = self._raised.get(series)
        if raised is None or self.per_week is None:
            return 0.0
        fallen = 2 * RISE * self.per_week / WEEK_MS * (time - raised.at)
        return min(max(raised.log - fallen, 0.0), HIGHEST)  # a state record of another hand may lie in the future
