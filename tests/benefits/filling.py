"""Values hidden from real series and filled in again, beside what one would take in place of a model.

Hidden are a tenth, three tenths or half of the cells, in points, in blocks of 5 to 40 ticks of a channel, or whole
channels for 256 ticks at a time.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.impute import KNNImputer

import streamae
from streamae.detection.artifact import Artifact
from tests.benefits.series import Bools, Doubles, Real, by_time, trained

SHARES = (0.1, 0.3, 0.5)
WAYS = ("points", "blocks", "channels")
STRETCH = 256  # ticks for which whole channels are hidden
LAGS = (-2, -1, 0, 1, 2)  # ticks that neighbours are compared by
KNOWN = 2_000  # ticks that neighbours are looked for among
Row = dict[str, Any]


def filled(series: Real, saits: Path | None) -> list[Row]:
    """A row a way and share: the error of what is filled, in scales. `saits` is a Python that has PyPOTS."""
    models = {
        "lstm": trained(series, "lstm", objective="masked"),
        "transformer": trained(series, "transformer", objective="masked"),
        "pca": trained(series, "pca"),
    }
    tasks = [(way, share) for way in WAYS for share in SHARES if way != "channels" or series.counted.sum() > 2]
    hidden = {task: hide(series, *task) for task in tasks}
    other = _saits(series, hidden, saits) if saits else {}
    return [_filled(series, models, task, hidden[task], other.get(task)) for task in tasks]


def hide(series: Real, way: str, share: float) -> Bools:
    """Which cells of the test are hidden [N, C]."""
    draw, (ticks, channels) = np.random.default_rng(2), series.test.shape
    if way == "points":
        return draw.random((ticks, channels)) < share
    if way == "channels":
        stretches = draw.random((-(-ticks // STRETCH), channels)).argsort(axis=1) < max(round(share * channels), 1)
        return np.asarray(stretches.repeat(STRETCH, axis=0)[:ticks])
    hidden = np.zeros((ticks, channels), np.bool_)
    for channel in range(channels):
        while hidden[:, channel].mean() < share:
            first, lasts = draw.integers(ticks), draw.integers(5, 41)
            hidden[first : first + lasts, channel] = True
    return hidden


def _filled(
    series: Real, models: dict[str, Artifact], task: tuple[str, float], hidden: Bools, saits: Doubles | None
) -> Row:
    way, share = task
    gaps = series.test.mask(hidden)
    row: Row = {"family": series.family, "series": series.name, "way": way, "share": share}
    for name, artifact in models.items():
        found = streamae.impute(artifact, gaps)
        own = by_time(found, series)
        left = np.isnan(own) & hidden  # too little was there: what was before them stays
        row[name] = series.off(np.where(left, _last(series, gaps), own), hidden)
        if name == "lstm":
            row["unfilled"] = float(left.mean() / hidden.mean())
            sure = found.set_index("time")[[f"uncertainty_{one}" for one in gaps]].reindex(gaps.index).to_numpy()
            ratio = ((own - series.test.to_numpy()) / sure)[hidden & series.normal[:, None] & series.counted & ~left]
            row["within 2"] = float(np.mean(np.abs(ratio) < 2))
    means = {"last value": _last(series, gaps), "linear": _linear(series, gaps)}
    means["neighbours"] = _neighbours(series, gaps)
    means |= {} if saits is None else {"saits": saits}
    return row | {name: series.off(values, hidden) for name, values in means.items()}


def _last(series: Real, gaps: pd.DataFrame) -> Doubles:
    return gaps.ffill().fillna(series.learn.mean()).to_numpy(np.float64)


def _linear(series: Real, gaps: pd.DataFrame) -> Doubles:
    return gaps.interpolate(limit_direction="both").fillna(series.learn.mean()).to_numpy(np.float64)


def _neighbours(series: Real, gaps: pd.DataFrame) -> Doubles:
    """The mean of the five ticks that are nearest by what is there of them and of the ticks around them."""
    imputer = KNNImputer(n_neighbors=5, keep_empty_features=True)
    known = _lagged(series.learn.to_numpy(np.float64) / series.scale)
    imputer.fit(known[np.linspace(0, len(known) - 1, min(KNOWN, len(known))).astype(int)])
    found = imputer.transform(_lagged(gaps.to_numpy(np.float64) / series.scale))
    at = LAGS.index(0) * gaps.shape[1]
    return np.asarray(found[:, at : at + gaps.shape[1]] * series.scale)


def _lagged(values: Doubles) -> Doubles:
    frame = pd.DataFrame(values)
    return np.concatenate([frame.shift(lag).to_numpy(np.float64) for lag in LAGS], axis=1)


def _saits(series: Real, hidden: dict[tuple[str, float], Bools], python: Path) -> dict[tuple[str, float], Doubles]:
    """What SAITS of PyPOTS fills in, in a process of another environment."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        gaps = {f"{way} {share}": series.test.mask(one).to_numpy(np.float64) for (way, share), one in hidden.items()}
        arrays: dict[str, Any] = {"learn": series.learn.to_numpy(np.float64), "scale": series.scale, **gaps}
        np.savez(given, **arrays)
        subprocess.run([python, Path(__file__).with_name("saits.py"), given, made], check=True)
        with np.load(made) as found:
            return {(way, share): found[f"{way} {share}"] for way, share in hidden}
