"""What cleaning and filling keep of what a model leaves over is measured on windows that judge nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamae.config import Training
from streamae.detection.repairing import CLASSES, Repair, clean, fill
from streamae.training.repairs import BLOCK, Trial, _filling, _filter, _hidden, instead, moving_average

B, T, C = 512, 40, 3
TICKS = slice(20, 24)
NOISE = 0.3
Floats = NDArray[np.float32]
SCALE = np.ones((B, C), np.float32)
ROWS = np.zeros(B, np.int64)


def waves(seed: int = 0) -> Floats:
    """Windows [B, T, C]: two channels that follow one wave, and one of rare steps that no filter should round off."""
    draw = np.random.default_rng(seed)
    phase = draw.uniform(0, 2 * np.pi, (B, 1))
    wave = np.sin(np.arange(T) / 4 + phase)
    steps = np.where(np.arange(T) < draw.integers(15, 30, (B, 1)), 0.0, 20.0) * (np.arange(B) % 8 == 0)[:, None]
    return np.stack([wave, -wave, steps], axis=2).astype(np.float32)


def trial(now: Floats, was: Floats) -> Trial:
    judging = np.arange(B) // BLOCK % 2 == 1
    return Trial(was, now, SCALE, TICKS, judging, np.array([True, True, True]))


def noisy(was: Floats, seed: int = 1) -> Floats:
    return (was + NOISE * np.random.default_rng(seed).normal(size=was.shape)).astype(np.float32)


def knowing(windows: Floats) -> Floats:
    """A model that rebuilds the first wave from the second, and the other way round; of steps it knows the level."""
    rebuilt = -windows[:, :, [1, 0, 2]]
    rebuilt[:, :, 2] = 0
    return np.nan_to_num(rebuilt)


def test_a_filter_takes_noise_away_and_leaves_steps_alone() -> None:
    was = waves()
    now = noisy(was)
    repair = _filter(trial(now, was), knowing(now), NOISE)
    found = clean(now, knowing(now), SCALE, repair)
    off, before = (np.sqrt(((one - was)[:, TICKS] ** 2).mean(axis=(0, 1))) for one in (found, now))
    assert (off[:2] < 0.75 * before[:2]).all()  # of two that are equally noisy, the mean: 0.71
    assert off[2] < 0.5 * before[2]
    averaged = moving_average(now, 5)
    assert np.abs(averaged - was)[:, TICKS, 2].max() > 5 > 2 * np.abs(found - was)[:, TICKS, 2].max()


def test_what_no_model_knows_stays() -> None:
    """Where the rest is no noise at all, it is kept whole."""
    was = waves()
    repair = _filter(trial(was, was), np.zeros_like(was), 0.01)
    np.testing.assert_allclose(clean(was, np.zeros_like(was), SCALE, repair)[:, TICKS], was[:, TICKS], atol=0.05)


def test_a_filter_is_learnt_from_what_does_not_judge() -> None:
    was = waves()
    now = noisy(was)
    spoilt = trial(now, was)
    other = now.copy()
    other[spoilt.judging] += 5
    one, another = (_filter(replace(spoilt, now=each), knowing(now), NOISE).kernel for each in (now, other))
    np.testing.assert_array_equal(one, another)


def nothing_known(windows: Floats) -> Floats:
    """A model that rebuilds 0."""
    return np.zeros_like(windows)


def filling(
    was: Floats, model: Callable[[Floats], Floats], most: float = 100.0
) -> tuple[Trial, Repair, dict[str, Any]]:
    hidden = trial(np.where(_hidden(was), np.float32(np.nan), was), was)
    none = np.empty((0, C), np.float32)
    plain = {"model": Repair(none, np.array([[0] * C, [0] * C, [most] * C], np.float32), none, none)}
    repairs, errors = _filling(hidden, ROWS, {"model": lambda windows, rows: model(windows)}, plain)
    return hidden, repairs["model"], errors


@pytest.mark.parametrize("model", [knowing, nothing_known])
def test_what_is_filled_is_as_far_off_as_it_says(model: Callable[[Floats], Floats]) -> None:
    """On windows that nothing was learnt from, a value off by its standard error is usual: neither far nor near."""
    was = noisy(waves())[:, :, :2]
    was = np.concatenate([was, was[:, :, :1]], axis=2)
    hidden, repair, _ = filling(was, model)
    found = fill(hidden.now, model(hidden.now), SCALE, repair)
    off = ((found.values - was) / found.uncertainty)[hidden.judging][:, TICKS]
    off = off[~np.isnan(off)]
    assert len(off) > 500
    assert 0.85 < np.sqrt((off**2).mean()) < 1.15


def test_a_model_that_knows_nothing_is_not_trusted_less_than_a_straight_line() -> None:
    """Its weights are then those of the neighbours; where there is none, it says how little it knows."""
    _, nothing, errors = filling(noisy(waves()), nothing_known, 2.0)
    assert nothing.weight.shape == (CLASSES, C)
    assert errors["model"] <= errors["linear"] * 1.02
    assert (nothing.weight[0, :2] > 0.5).all()  # the third is but noise beside its steps
    assert (nothing.weight[CLASSES - 1] == 0).all()


def test_what_is_far_off_is_carried_over_a_gap_whole() -> None:
    """It is no noise: a weight that is right for what is usual would make it smaller."""
    was = noisy(waves())[:, :, [2, 2, 2]]
    (_, near, _), (_, all_alike, _) = (filling(was, nothing_known, most) for most in (1.0, 100.0))
    assert near.weight[0].max() < 0.5 < 0.8 < all_alike.weight[0].min()
    gap = np.full((1, T, C), 20, np.float32)
    gap[0, 10:14] = np.nan
    np.testing.assert_allclose(fill(gap, 0 * gap[:, :1], SCALE[:1], near).values[0, 10:14], 20, atol=1)


def test_weights_are_learnt_from_what_does_not_judge() -> None:
    was = noisy(waves())
    spoilt = was.copy()
    spoilt[trial(was, was).judging] *= -3
    one, other = (filling(each, nothing_known)[1] for each in (was, spoilt))
    np.testing.assert_array_equal(one.weight, other.weight)
    np.testing.assert_array_equal(one.spread, other.spread)


def test_a_model_that_knows_fills_better_than_a_straight_line() -> None:
    _, repair, errors = filling(noisy(waves()), lambda windows: waves())
    assert errors["model"] < 0.8 * errors["linear"] < errors["last value"]
    assert repair.fills


def test_the_simple_means_are_what_they_are_called() -> None:
    windows = np.array([1, np.nan, 3, np.nan, np.nan], np.float32).reshape(1, 5, 1)
    found = instead(windows)
    assert found["linear"].ravel().tolist() == [1, 2, 3, 3, 3]
    assert found["last value"].ravel().tolist() == [1, 1, 3, 3, 3]
    averaged = moving_average(np.array([0, 3, 6, np.nan], np.float32).reshape(1, 4, 1), 3)
    np.testing.assert_array_equal(averaged.ravel(), [1.5, 3, 4.5, np.nan])


@pytest.mark.parametrize(
    ("changes", "fills"),
    [
        ({"autoencoder": "pca"}, True),
        ({"objective": "masked"}, True),
        ({}, False),
        ({"autoencoder": "kmeans", "objective": "denoising"}, False),
    ],
)
def test_kinds_that_were_shown_silence_fill(changes: dict[str, Any], fills: bool) -> None:
    assert Training(**changes).fills is fills
