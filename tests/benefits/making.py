"""Series that never were, beside real ones: can they be told apart, and do they teach what real ones teach?"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

import streamae
from tests.benefits.series import Doubles, Real, trained

WINDOW, STRIDE = 32, 8  # of what is to be told apart
PAST = 16  # ticks from which the next is foretold
Row = dict[str, Any]


def made(series: Real) -> list[Row]:
    """A row a kind of generator; `again` is what was learnt from, which nobody could do better than."""
    ticks = min(len(series.test), 4000)
    options: dict[str, dict[str, Any]] = {
        "lstm variational": {"autoencoder": "lstm", "objective": "variational"},
        "transformer variational": {"autoencoder": "transformer", "objective": "variational"},
        "dense variational": {"autoencoder": "dense", "objective": "variational"},
        "dense adversarial": {"autoencoder": "dense", "objective": "adversarial"},
    }
    series_of = {
        name: streamae.generate(trained(series, **one), ticks, seed=1).to_numpy(np.float64)
        for name, one in options.items()
    }
    learnt = series.learn.to_numpy(np.float64)
    series_of |= {"pca, gaussian": _gaussian(learnt, ticks), "noise": _noise(learnt, ticks), "again": learnt[-ticks:]}
    normal = series.test.to_numpy(np.float64)[:, series.counted]
    rows = []
    for name, values in series_of.items():
        own = values[:, series.counted]
        row: Row = {"family": series.family, "series": series.name, "generator": name}
        row["told apart"] = told_apart(_windows(normal, series.normal), _windows(own))
        row["foretold"] = _foretold(own, normal, series) / _foretold(learnt[:, series.counted], normal, series)
        rows.append(row)
    return rows


def told_apart(real: Doubles, other: Doubles) -> float:
    """The share of held-out windows [B, ...] that a forest puts on the right side; 0.5: it cannot tell.

    The forest learns from the first halves and is asked about the second.
    """
    count = min(len(real), len(other))
    sides = [one[np.linspace(0, len(one) - 1, count).astype(int)] for one in (real, other)]
    learn = np.concatenate([one[: count // 2] for one in sides])
    ask = np.concatenate([one[count // 2 :] for one in sides])
    truth = [np.repeat([0, 1], len(one) // 2) for one in (learn, ask)]
    forest = RandomForestClassifier(200, random_state=0, n_jobs=1).fit(learn, truth[0])
    return float(forest.score(ask, truth[1]))


def _windows(values: Doubles, normal: Any = None) -> Doubles:
    """Windows and their steps, flat [B, 2 * WINDOW * C less a row]; of what is normal from end to end."""
    starts = np.arange(0, len(values) - WINDOW, STRIDE)
    if normal is not None:
        starts = starts[[bool(normal[at : at + WINDOW].all()) for at in starts]]
    cut = values[starts[:, None] + np.arange(WINDOW)]
    return np.concatenate([cut.reshape(len(cut), -1), np.diff(cut, axis=1).reshape(len(cut), -1)], axis=1)


def _foretold(learn: Doubles, test: Doubles, series: Real) -> float:
    """The error of the next tick, in scales, by a linear model of the past that learnt from a series."""
    scale = series.scale[series.counted]
    features, aim = _past(learn / scale)
    mean = aim.mean(axis=0)
    asked, truth = _past(test / scale)
    found = Ridge(1.0).fit(features, aim - mean).predict(asked) + mean
    normal = series.normal[PAST:]
    return float(np.sqrt(((found - truth)[normal] ** 2).mean()))


def _past(values: Doubles) -> tuple[Doubles, Doubles]:
    at = np.arange(PAST, len(values))
    return values[at[:, None] - np.arange(PAST, 0, -1)].reshape(len(at), -1), values[at]


def _gaussian(learn: Doubles, ticks: int) -> Doubles:
    """Windows of 32 ticks from the first eight principal components, normal and by themselves, one after the other."""
    cut = _windows(learn)[:, : WINDOW * learn.shape[1]]
    mean = cut.mean(axis=0)
    _, spread, components = np.linalg.svd(cut - mean, full_matrices=False)
    draw = np.random.default_rng(1).normal(size=(-(-ticks // WINDOW), 8))
    windows = draw[:, : len(spread)] * spread[:8] / np.sqrt(len(cut)) @ components[:8] + mean
    return np.asarray(windows.reshape(-1, learn.shape[1])[:ticks])


def _noise(learn: Doubles, ticks: int) -> Doubles:
    """Readings that were there, in any order."""
    return learn[np.random.default_rng(1).integers(0, len(learn), ticks)]
