"""Series whose law is known, and windows of them in scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamae.detection.artifact import Profiles
from streamae.detection.manifest import WindowSpec
from streamae.training.fitting import FitWindows
from streamae.training.series import Pool, Stretch


def stretch(grid: NDArray[np.float64]) -> Stretch:
    """All ticks of one series [N, C]."""
    return Stretch("m", 0, grid.astype(np.float32))


def circles(ticks: int = 3000, seed: int = 0) -> Stretch:
    """A phase at random, and its sine and cosine: linearly unrelated, yet one follows from the other."""
    rng = np.random.default_rng(seed)
    phase = np.cumsum(rng.normal(0, 0.5, ticks))
    return stretch(np.stack([np.cos(phase), np.sin(phase), np.cos(2 * phase)], axis=1))


def waves(ticks: int = 3000, seed: int = 0, noise: float = 0.05) -> Stretch:
    """A wave and its overtone, whose phase drifts: but for noise, a window is decided by one number."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(ticks) / 16.3 + np.cumsum(rng.normal(0, 0.05, ticks))
    clean = np.stack([np.sin(phase), np.cos(2 * phase)], axis=1)
    return stretch(clean + noise * rng.normal(size=clean.shape))


def modes(ticks: int = 4000, seed: int = 0, lasts: int = 100) -> Stretch:
    """A wave at a level that the mode in the last channel decides, -1 or 1; the modes take turns."""
    rng = np.random.default_rng(seed)
    mode = rng.choice([-1.0, 1.0], -(-ticks // lasts)).repeat(lasts)[:ticks]
    phase = 2 * np.pi * np.arange(ticks) / 13.7 + np.cumsum(rng.normal(0, 0.05, ticks))
    values = np.stack([2 * mode + np.sin(phase), np.cos(phase), mode], axis=1)
    values[:, :2] += 0.05 * rng.normal(size=(ticks, 2))
    return stretch(values)


def windows_of(learn: Stretch, held_out: Stretch, length: int = 8) -> FitWindows:
    """All windows, in scales of 1 around 0."""
    spec = WindowSpec(length=length, stride=1, cadence_ms=1)
    table = np.tile(np.array([0, 1, 1], np.float32)[None, :, None], (1, 1, learn.grid.shape[1]))
    return FitWindows(Pool([learn], [], spec, 0.5), Pool([held_out], [], spec, 0.5), Profiles((), table))
