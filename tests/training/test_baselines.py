"""The plain alert that plants have without StreamAE."""

from __future__ import annotations

import numpy as np
import pytest

from streamae.detection.manifest import WindowSpec
from streamae.training.baselines import sigma_alerts, sigma_for_rate, sigmas
from streamae.training.matching import per_series_week
from streamae.training.series import Stretch

WINDOW = WindowSpec(length=4, stride=2, cadence_ms=60_000)


def normal(ticks: int = 5000, seed: int = 0) -> Stretch:
    grid = 50 + 2 * np.random.default_rng(seed).standard_normal((ticks, 2))
    return Stretch("m", 0, grid.astype(np.float32))


def test_a_channel_far_off_its_mean_alerts_and_neighbours_are_one() -> None:
    known = sigmas([normal()])
    grid = np.full((40, 2), 50, np.float32)
    grid[[5, 8], 1] = 60  # within a window's length
    grid[20:23, 0] = 30
    grid[30, 0] = np.nan
    alerts = sigma_alerts([Stretch("m", 100, grid)], known, 4, WINDOW)
    assert [(one.start // 60_000, one.end // 60_000) for one in alerts if one.end] == [(105, 109), (120, 123)]
    assert all(one.known == one.start for one in alerts)


def test_constant_silent_and_unknown_never_alert() -> None:
    grid = np.stack([np.full(50, 7.0), np.full(50, np.nan)], axis=1).astype(np.float32)
    known = sigmas([Stretch("m", 0, grid)])
    assert sigma_alerts([Stretch("m", 0, grid + 100), Stretch("new", 0, grid)], known, 0.1, WINDOW) == []


@pytest.mark.parametrize("rate", [0.5, 5.0, 50.0])
def test_k_is_chosen_for_a_rate(rate: float) -> None:
    parts = [normal(40_000)]
    known = sigmas(parts)
    k = sigma_for_rate(parts, known, rate, WINDOW)
    duration = 40_000 * WINDOW.cadence_ms
    at_k, below = (per_series_week(len(sigma_alerts(parts, known, one, WINDOW)), 1, duration) for one in (k, k - 0.05))
    assert at_k <= rate <= below
