"""Noise taken off real series, beside what one would take in place of a model.

The width of a moving average, the window of a Savitzky-Golay filter and the taps of a Wiener filter are chosen on what
is learnt from, with noise of the same size: each as well as it can be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

import streamae
from tests.benefits.series import Doubles, Real, by_time, trained

NOISES = (0.1, 0.3)  # scales
REACH = 4
Row = dict[str, Any]


def cleaned(series: Real) -> list[Row]:
    """A row a noise: dB gained by each."""
    return [_cleaned(series, noise) for noise in NOISES]


def _cleaned(series: Real, noise: float) -> Row:
    draw = np.random.default_rng(1)
    clean = series.test.to_numpy(np.float64)
    noisy = clean + noise * series.scale * draw.normal(size=clean.shape)
    every = np.ones(clean.shape, np.bool_)
    before = series.off(noisy, every)
    row: Row = {"family": series.family, "series": series.name, "noise": noise}
    objective = {"name": "denoising", "noise": noise}
    models: dict[str, dict[str, Any]] = {
        "lstm": {"objective": objective},
        "transformer": {"objective": objective},
        "pca": {},
    }
    for name, options in models.items():
        artifact = trained(series, name, **options)
        found = streamae.clean(artifact, series.test.assign(**dict(zip(map(str, series.test), noisy.T, strict=True))))
        row[name] = _gain(before, series.off(by_time(found, series), every))
        if name == "lstm":
            row["said"] = artifact.manifest.report["uses"]["clean"]["model"]
    for name, by in _simple(series, noise, draw).items():
        row[name] = _gain(before, series.off(by(noisy), every))
    return row


def _gain(before: float, after: float) -> float:
    return round(20 * float(np.log10(before / after)), 2)


def _simple(series: Real, noise: float, draw: np.random.Generator) -> dict[str, Callable[[Doubles], Doubles]]:
    """What needs no model, each at its best on what is learnt from."""
    clean = series.learn.to_numpy(np.float64)
    noisy = clean + noise * series.scale * draw.normal(size=clean.shape)

    def best(candidates: list[Callable[[Doubles], Doubles]]) -> Callable[[Doubles], Doubles]:
        def off(by: Callable[[Doubles], Doubles]) -> float:
            return float((((by(noisy) - clean) / series.scale)[:, series.counted] ** 2).mean())

        return min(candidates, key=off)

    averages = [_average(width) for width in (3, 5, 7, 9, 15)]
    savitzky = [_savitzky(width, order) for width in (5, 7, 9, 15, 21) for order in (2, 3)]
    return {"moving average": best(averages), "savitzky-golay": best(savitzky), "wiener": _wiener(clean, noisy)}


def _average(width: int) -> Callable[[Doubles], Doubles]:
    return lambda values: pd.DataFrame(values).rolling(width, center=True, min_periods=1).mean().to_numpy()


def _savitzky(width: int, order: int) -> Callable[[Doubles], Doubles]:
    return lambda values: np.asarray(signal.savgol_filter(values, width, order, axis=0))


def _wiener(clean: Doubles, noisy: Doubles) -> Callable[[Doubles], Doubles]:
    """The filter of nine taps and a mean that brings noisy readings of a channel nearest to clean ones."""
    mean = clean.mean(axis=0)
    taps = []
    for own, aim in zip(_around(noisy - mean), (clean - mean).T, strict=True):
        taps.append(np.linalg.lstsq(own, aim, rcond=1e-6)[0])
    return lambda values: np.stack([own @ tap for own, tap in zip(_around(values - mean), taps, strict=True)], 1) + mean


def _around(values: Doubles) -> Doubles:
    """Each value and its neighbours: [C, N, S]."""
    padded = np.pad(values, ((REACH, REACH), (0, 0)), mode="edge")
    return np.asarray(sliding_window_view(padded, 2 * REACH + 1, axis=0).transpose(1, 0, 2))
