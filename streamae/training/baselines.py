"""Baselines: what an autoencoder has to beat.

PCA is the autoencoder `pca`: the linear part alone, through the same export, calibration and judging (job.py). Here is
the plain alert that plants have without StreamAE: a channel more than k standard deviations off its mean.

N ticks, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamae.detection.manifest import WindowSpec
from streamae.training.matching import Alerted, per_series_week
from streamae.training.series import Stretch


@dataclass(frozen=True)
class Sigma:
    """Mean and standard deviation of each channel of a series [C], from its fit span."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def sigmas(parts: Sequence[Stretch]) -> dict[str, Sigma]:
    """Mean and deviation of each series; a channel without any never alerts."""
    grids: dict[str, list[NDArray[np.float32]]] = {}
    for part in parts:
        grids.setdefault(part.series, []).append(part.grid)
    found = {}
    for name, own in grids.items():
        columns = np.concatenate(own).astype(np.float64)
        seen = (~np.isnan(columns)).sum(axis=0).clip(1)
        mean = np.nansum(columns, axis=0) / seen
        deviation = np.sqrt(np.nansum((columns - mean) ** 2, axis=0) / seen)
        found[name] = Sigma(mean, np.where(deviation > 0, deviation, np.inf))
    return found


def sigma_alerts(parts: Sequence[Stretch], known: Mapping[str, Sigma], k: float, window: WindowSpec) -> list[Alerted]:
    """Alerts where any channel is more than k deviations off; those within a window's length are one."""
    alerts = []
    for part in parts:
        if part.series not in known:
            continue
        height = furthest(part.grid, known[part.series])
        ticks = np.flatnonzero(height > k)
        cuts = np.flatnonzero(np.diff(ticks) > window.length) + 1
        for run in np.split(ticks, cuts):
            if len(run):
                start, end = ((part.first + int(tick)) * window.cadence_ms for tick in (run[0], run[-1] + 1))
                alerts.append(Alerted(part.series, start, end, start))
    return alerts


def sigma_for_rate(
    parts: Sequence[Stretch],
    known: Mapping[str, Sigma],
    rate: float,
    window: WindowSpec,
    false: Callable[[list[Alerted]], int] = len,
) -> float:
    """The smallest k at which there are at most `rate` false alerts per series and week on these readings.

    `false` counts the false ones; without it all are, so that normal readings are to be given.
    """
    heights = [furthest(part.grid, known[part.series]) for part in parts if part.series in known]
    ticks = sum(map(len, heights))
    low, high = 0.0, max((float(height.max(initial=0.0)) for height in heights), default=0.0)
    for _ in range(40):  # more alerts merge into one as k sinks, but not above the rates that matter
        k = (low + high) / 2
        count = false(sigma_alerts(parts, known, k, window))
        low, high = (low, k) if per_series_week(count, 1, ticks * window.cadence_ms) <= rate else (k, high)
    return high


def furthest(grid: NDArray[np.floating[Any]], sigma: Sigma) -> NDArray[np.float64]:
    """By how many deviations the furthest channel of values [N, C] is off, at each tick [N]; 0 in silence."""
    off = abs(grid - sigma.mean) / sigma.deviation
    return np.asarray(np.nan_to_num(off).max(axis=1))
