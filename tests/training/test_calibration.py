"""Thresholds: that they keep about the rate that they promise, on data they have not seen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamae.config import ThresholdRule
from streamae.detection.manifest import WindowSpec
from streamae.errors import DataError
from streamae.training.calibration import (
    WEEK_MS,
    Budget,
    Calibrated,
    NormalErrors,
    calibrate,
    lasting,
    promise,
    settled_smoothing,
    smoothed,
)
from streamae.training.thresholds import COUNTING, FURTHEST, threshold

WINDOW = WindowSpec(length=32, stride=4, cadence_ms=60_000)
WINDOWS_PER_WEEK = WEEK_MS // (WINDOW.stride * WINDOW.cadence_ms)


def errors(weeks: float, seed: int, dependence: float = 0.0, series: str = "m") -> NormalErrors:
    """Log-normal errors; neighbours are correlated by `dependence`."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal(int(weeks * WINDOWS_PER_WEEK)) * (1 - dependence**2) ** 0.5
    for at in range(1, len(steps)):
        steps[at] += dependence * steps[at - 1]
    error = np.exp(0.4 * steps).astype(np.float32)
    return NormalErrors(series, error, error)


def episodes(error: NDArray[np.float32], limit: float, fire_after: int) -> int:
    """How often an episode begins; within a block of windows it is the same one."""
    above = np.flatnonzero(lasting(error, fire_after) > limit)
    return int((np.diff(above, prepend=-10_000) > 16).sum())


@pytest.mark.parametrize("dependence", [0.0, 0.9])
@pytest.mark.parametrize("fire_after", [1, 2])
@pytest.mark.parametrize("per_week", [0.5, 5.0])
def test_the_promised_rate_is_about_kept(dependence: float, fire_after: int, per_week: float) -> None:
    budget = Budget(per_week, WINDOW, fire_after)
    limit = calibrate([errors(6, 1, dependence)], budget).fleet.error
    weeks = 60
    rate = episodes(errors(weeks, 2, dependence).error, limit, fire_after) / weeks
    assert per_week / 4 < rate < per_week * 3


def test_no_more_blocks_exceed_a_threshold_than_it_allows() -> None:
    heavy = np.concatenate([np.ones(980), np.full(20, 50.0)])  # nothing like Gumbel's law
    assert (heavy > threshold(heavy, 0.01)).sum() <= 10


def test_two_kinds_of_normal_do_not_make_a_threshold_that_nothing_reaches() -> None:
    two_kinds = np.concatenate([np.full(5, 0.02), np.full(5, 2.0)])
    assert threshold(two_kinds, 1e-3) == pytest.approx(10.0, rel=1e-3)


def test_an_exact_model_does_not_alert_on_nothing() -> None:
    assert 0.01 < threshold(np.full(40, 1e-12), 0.01) < 0.012


def test_a_series_has_its_own_threshold_where_it_has_enough_blocks() -> None:
    noisy = errors(2, 1, series="noisy")
    noisy = NormalErrors("noisy", noisy.error * 3, noisy.settled * 3)
    found = calibrate([errors(2, 2, series="calm"), noisy, errors(0.1, 3, series="new")], Budget(1.0, WINDOW, 2))
    assert set(found.series) == {"calm", "noisy"}
    assert found.series["calm"].error < found.fleet.error
    assert found.series["noisy"].error > found.series["calm"].error
    assert calibrate([errors(2, 2)], Budget(1.0, WINDOW, 2)).series == {}  # alone, it is the fleet


def test_too_little_to_calibrate_on() -> None:
    with pytest.raises(DataError, match="holds too few well-observed windows"):
        calibrate([errors(0.001, 1)], Budget(1.0, WINDOW, 2))


def test_less_than_a_block_is_taken_for_one() -> None:
    short, budget = errors(0.004, 1), Budget(1.0, WINDOW, 2)
    assert settled_smoothing(WINDOW) <= len(short.error) < budget.block
    known = calibrate([short], budget)
    assert known.blocks == 1
    largest = lasting(short.error, 2)[: len(short.error) - 4].max()
    assert known.fleet.error == pytest.approx(FURTHEST * largest, rel=1e-3)  # one block says nothing about others


def test_lasting_and_smoothed_look_at_neighbours() -> None:
    values = np.array([1, 5, 4, 2], np.float32)
    assert lasting(values, 2).tolist() == [1, 4, 2]
    assert smoothed(values, 2).tolist() == [3, 4.5, 3]
    assert lasting(values, 9).tolist() == smoothed(values, 9).tolist() == []


@pytest.mark.parametrize(
    ("length", "stride", "windows"),
    [(32, 1, 20), (32, 4, 5), (32, 32, 1), (16, 4, 2), (64, 8, 2), (64, 16, 1), (128, 1, 20), (128, 4, 5)],
)
def test_the_settled_score_is_averaged_over_as_much_time_at_any_stride(length: int, stride: int, windows: int) -> None:
    assert settled_smoothing(WindowSpec(length=length, stride=stride, cadence_ms=1)) == windows


def test_what_is_promised_depends_on_how_much_was_seen() -> None:
    budget = Budget(1.0, WINDOW, 2)
    much = Calibrated(calibrate([errors(1, 1)], budget).fleet, {}, int(10 * budget.blocks_per_week))
    assert "enough to measure" in promise(much, budget)
    little = calibrate([errors(0.5, 1)], budget)
    assert "extrapolated and may be off" in promise(little, budget)
    assert promise(little, budget).endswith("only rates above about 6.1 could be measured")


@pytest.mark.parametrize("rule", COUNTING)
def test_rules_that_count_promise_no_less_than_one_in_what_was_seen(rule: ThresholdRule) -> None:
    known = calibrate([errors(0.5, 1)], Budget(1.0, WINDOW, 2, rule))
    assert f"{rule} goes no further than what was seen, so expect 2 or more" in promise(
        known, Budget(1.0, WINDOW, 2, rule)
    )
    between = Budget(4.0, WINDOW, 2, rule)  # two would be expected: counted, if roughly
    assert "may be off by several times" in promise(calibrate([errors(0.5, 1)], between), between)
