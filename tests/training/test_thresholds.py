"""Rules for thresholds: what holds for each of them, whatever the errors, and what each does where it is known."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from streamae.config import ThresholdRule, Training
from streamae.training.thresholds import (
    COUNTING,
    FURTHEST,
    PEAKS,
    RULES,
    SMALLEST,
    USUAL_TAIL,
    block_maxima,
    lmoments,
    pot,
    threshold,
)

rules = pytest.mark.parametrize("rule", RULES)
errors = arrays(np.float64, st.integers(1, 200), elements=st.floats(0, 1e6))
shares = st.floats(1e-6, 0.5)


@rules
@given(errors, shares)
@settings(max_examples=50, deadline=None)
def test_a_threshold_is_above_nothing_and_finite(
    rule: ThresholdRule, maxima: NDArray[np.float64], share: float
) -> None:
    limit = threshold(maxima, share, rule)
    assert 0 < limit <= 1.01 * FURTHEST * max(maxima.max(), SMALLEST)


@rules
@given(errors, shares, shares)
@settings(max_examples=100, deadline=None)
def test_a_smaller_budget_never_lowers_a_threshold(
    rule: ThresholdRule, maxima: NDArray[np.float64], one: float, other: float
) -> None:
    small, large = sorted((one, other))
    assert threshold(maxima, small, rule) >= threshold(maxima, large, rule) * (1 - 1e-9)


@rules
@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(0.02, 1e3)), shares, st.floats(1, 1e3))
@settings(max_examples=50, deadline=None)
def test_a_threshold_scales_with_the_errors(
    rule: ThresholdRule, maxima: NDArray[np.float64], share: float, factor: float
) -> None:
    assert threshold(maxima * factor, share, rule) == pytest.approx(threshold(maxima, share, rule) * factor, rel=1e-6)


@rules
@given(errors, shares)
@settings(max_examples=50, deadline=None)
def test_no_more_blocks_exceed_a_threshold_than_can_be_counted(
    rule: ThresholdRule, maxima: NDArray[np.float64], share: float
) -> None:
    exceeded = (np.maximum(maxima, SMALLEST) > threshold(maxima, share, rule)).sum()
    assert exceeded <= max(int(len(maxima) * share), 1)


@pytest.mark.parametrize("rule", COUNTING)
@pytest.mark.parametrize("maxima", [[0.0], [0.0] * 50, [2.0], [2.0] * 50])
def test_rules_that_count_take_errors_without_spread_for_the_threshold(
    rule: ThresholdRule, maxima: list[float]
) -> None:
    assert threshold(np.array(maxima), 0.01, rule) == pytest.approx(max(maxima[0], SMALLEST), rel=1e-3)


@pytest.mark.parametrize(("level", "least"), [(0.0, SMALLEST), (2.0, 2.0)])
def test_gumbel_takes_them_for_it_as_far_as_there_are_many(level: float, least: float) -> None:
    """One block says nothing about the next, three that are alike say little, and many nearly all."""
    one, three, many = (threshold(np.full(count, level), 0.01) / least for count in (1, 3, 79))
    assert one == pytest.approx(FURTHEST, rel=1e-3)
    assert 1.5 < three < 3
    assert 1 < many < 1.05


@pytest.mark.parametrize(
    ("rule", "closer"), [("gumbel", 2.0), ("pot", 2.0), ("conformal", np.inf), ("quantile", np.inf)]
)
def test_laws_reach_beyond_what_was_seen_where_counting_does_not(rule: ThresholdRule, closer: float) -> None:
    """100 blocks, of which one in 1,000 may exceed the threshold; what that is, is known for Gumbel's law."""
    rng, share = np.random.default_rng(3), 1e-3
    wanted = np.exp(-0.3 * np.log(-np.log1p(-share)))
    found, largest = [], []
    for _ in range(100):
        maxima = np.exp(rng.gumbel(0, 0.3, 100))
        found.append(threshold(maxima, share, rule))
        largest.append(maxima.max())
    if np.isinf(closer):
        assert np.allclose(found, largest)
    else:
        assert wanted / closer < np.median(found) < wanted * closer
        assert np.median(found) > 1.3 * np.median(largest)


def test_conformal_keeps_its_share_of_blocks_to_come() -> None:
    rng, share = np.random.default_rng(1), 0.05
    drawn = rng.lognormal(size=(4000, 41))
    exceeded = [row[-1] > threshold(row[:-1], share, "conformal") for row in drawn]
    assert 0.03 < np.mean(exceeded) <= share + 0.01  # the second largest of 40: 2 in 41


def test_few_peaks_are_taken_to_have_the_usual_tail() -> None:
    assert pot(np.array([1.0]), 0.1) == pytest.approx(1 + 10 / 11 * USUAL_TAIL * np.log(10))


def test_peaks_of_an_exponential_tail_go_on_as_they_began() -> None:
    log = -np.log(1 - (np.arange(400) + 0.5) / 400)  # its quantile of a share is -log(share)
    few = USUAL_TAIL + 100 / 110 * (1 - USUAL_TAIL)  # 100 peaks, and ten that are taken for granted
    assert pot(log, 1e-4) == pytest.approx(-np.log(PEAKS) + few * np.log(PEAKS / 1e-4), rel=0.02)
    assert pot(log, 0.4) == pytest.approx(-np.log(0.4), rel=0.05)  # below the peaks: counted


def test_l_moments_are_those_of_the_laws() -> None:
    uniform = (np.arange(1000) + 0.5) / 1000
    assert lmoments(uniform) == pytest.approx((1 / 2, 1 / 6), rel=1e-2)
    assert lmoments(np.array([3.0])) == (3, 0)


def test_largest_errors_of_whole_blocks() -> None:
    assert block_maxima(np.array([1.0, 3, 2, 0, 9]), 2).tolist() == [3, 2]


def test_a_config_names_the_rules_that_there_are() -> None:
    assert [msgspec.convert({"threshold_rule": rule}, Training).threshold_rule for rule in RULES] == list(RULES)
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value 'max'"):
        msgspec.convert({"threshold_rule": "max"}, Training)
