"""Candidates: the thresholds that a backtest tries. Factors on the model's own, or alert budgets calibrated anew.

A budget is calibrated on the model's calibrate span by the code that trains, on the errors that the past holds already.
B windows, S series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamae.detection.manifest import Manifest, Span
from streamae.errors import ConfigError, DataError
from streamae.history.past import Past, Thresholds
from streamae.history.stored import Stored
from streamae.training.calibration import Budget, NormalErrors, calibrate
from streamae.training.files import moment
from streamae.training.matching import Event

FACTORS = (0.5, 1.0, 2.0)  # what is tried where nothing is asked for
OWN = "as trained"

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Asked(NamedTuple):
    """What to try: factors on the model's own thresholds, budgets in false episodes per series and week; and labels."""

    factors: tuple[float, ...] = ()
    budgets: tuple[float, ...] = ()
    labels: tuple[Event, ...] | None = None

    @classmethod
    def of(
        cls,
        factors: Sequence[float] | None = None,
        budgets: Sequence[float] | None = None,
        labels: Sequence[Event] | None = None,
    ) -> Asked:
        """What is asked for, or the usual. Raises ConfigError for what is no factor or budget."""
        for name, given in (("thresholds", factors), ("budgets", budgets)):
            for one in given or ():
                if not 0 < one < np.inf:
                    raise ConfigError(f"{name}: {one:g} is not above 0 and finite")
        known = None if labels is None else tuple(labels)
        if not factors and not budgets:
            return cls(FACTORS, (), known)
        return cls(tuple(dict.fromkeys(factors or ())), tuple(dict.fromkeys(budgets or ())), known)


class Candidate(NamedTuple):
    """Thresholds to try, and where they come from."""

    name: str
    thresholds: Thresholds
    factor: float | None = None
    budget: float | None = None


def own(manifest: Manifest) -> Candidate:
    """The model's own thresholds."""
    return Candidate(OWN, Thresholds(manifest.threshold, manifest.thresholds, manifest.budget_per_week), factor=1.0)


def candidates(past: Past, asked: Asked) -> list[Candidate]:
    """The model's own thresholds, then those that are asked for. Labelled times are not calibrated on.

    Raises DataError where the readings do not hold the calibrate span that a budget needs.
    """
    as_trained = own(past.manifest)
    found = [
        Candidate(f"{factor:.12g} times", as_trained.thresholds.times(factor), factor=factor)
        for factor in asked.factors
        if factor != 1
    ]
    if asked.budgets:
        errors = normal_errors(past, asked.labels or ())
        found += [_calibrated(past, errors, budget) for budget in asked.budgets]
    return [as_trained, *found]


def _calibrated(past: Past, errors: list[NormalErrors], budget: float) -> Candidate:
    rule = past.manifest.report.get("threshold_rule", "gumbel")  # of a model that says none, it was this one
    calibrated = calibrate(errors, Budget(budget, past.manifest.window, past.rules.policy.fire_after, rule))
    return Candidate(f"{budget:.12g} a week", Thresholds(calibrated.fleet, calibrated.series, budget), budget=budget)


def normal_errors(past: Past, left_out: Sequence[Event] = ()) -> list[NormalErrors]:
    """The errors of each series' windows that training would calibrate on: whole ones within the calibrate span."""
    span, window = past.manifest.spans["calibrate"], past.manifest.window
    _check_covered(past.stored, span, window.length_ms)
    windows = past.windows
    kept = (windows.start >= span.start) & (windows.end <= span.end) & whole(past)
    kept &= windows.observed >= past.rules.policy.min_observed
    names = np.array(windows.series, dtype=object)
    for series, start, end in left_out:
        low, high = start // window.cadence_ms * window.cadence_ms, -(-end // window.cadence_ms) * window.cadence_ms
        kept &= (names != series) | (windows.end <= low) | (windows.start >= high)
    order = np.flatnonzero(kept)
    order = order[np.lexsort((windows.start[order], past.series[order]))]
    parts = np.split(order, np.flatnonzero(np.diff(past.series[order])) + 1) if len(order) else []
    return [NormalErrors(windows.series[part[0]], past.error[part], past.settled[part]) for part in parts]


def whole(past: Past) -> Flags:
    """Which windows [B] do not reach beyond the readings of their series, into silence as long as a window."""
    stored, window = past.stored, past.manifest.window
    sound = np.flatnonzero(~np.isnan(stored.values).all(axis=1))
    tick = stored.tick
    least = int(tick[0]) - window.length  # a window may begin so much before the first reading
    width = int(tick[-1]) - least + window.length + 1
    place = np.sort(stored.series[sound].astype(np.int64) * width + tick[sound] - least)
    begins = np.append(True, np.diff(place) > window.length)
    begins[1:] |= place[1:] // width != place[:-1] // width
    first, last = place[begins], place[np.append(begins[1:], True)]
    low = past.series * width + past.windows.start // window.cadence_ms - least
    at = np.searchsorted(first, low, "right") - 1
    inside = (at >= 0) & (low + window.length - 1 <= last[np.maximum(at, 0)])
    return np.asarray(inside)


def _check_covered(stored: Stored, span: Span, slack_ms: int) -> None:
    begin, end = int(stored.time.min()), stored.end
    if begin > span.start + slack_ms or end < span.end - slack_ms:
        raise DataError(
            f"a budget is calibrated on the model's calibrate span, {moment(span.start)} to {moment(span.end)}, and "
            f"these readings are {moment(begin)} to {moment(end)}: give the files that it was trained on too, "
            "or thresholds in place of budgets"
        )
