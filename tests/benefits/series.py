"""Real series for the uses: what is learnt from, and later readings that nobody has labelled, in scales.

N ticks, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import streamae
from streamae.detection.artifact import Artifact
from tests.accuracy.recordings import load, records

FAMILIES = ("smd", "skab", "mba_ecg", "nasa_smap")
MOST = 12_000  # ticks that are learnt from, and as many that judge: the newest before the split, the oldest after it
LEAST = 0.1  # spread that a channel must have, in scales, to be counted

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Real:
    """One series of a family."""

    family: str
    name: str
    learn: pd.DataFrame
    test: pd.DataFrame
    normal: Bools  # [N] of the test's ticks
    scale: Doubles  # [C] of the channels
    counted: Bools  # [C] that move

    def off(self, found: Doubles, cells: Bools) -> float:
        """The root mean square error of some cells of the test [N, C] that are normal and move, in scales."""
        wanted = cells & self.normal[:, None] & self.counted
        off = ((found - self.test.to_numpy(np.float64)) / self.scale)[wanted]
        return float(np.sqrt(np.nanmean(off**2)))


def real(family: str) -> Real:
    """The first series of a family whose prefix is long enough to learn from."""
    record = next(one for one in sorted(records([family]), key=lambda one: one.series) if one.train_rows >= 400)
    frame, label = load(record)
    split = record.train_rows
    learn, test = frame.iloc[max(split - MOST, 0) : split], frame.iloc[split : split + MOST]
    artifact = streamae.train(learn, "pca", baselines=())
    scale = artifact.profiles.table[1, 1].astype(np.float64)  # the model's own, with its floor
    normal = ~label[split : split + MOST]
    spreads = [test.to_numpy(np.float64)[normal].std(axis=0), learn.to_numpy(np.float64).std(axis=0)]
    moves = (np.minimum(*spreads) / scale) > LEAST
    return Real(family, record.series, learn, test, normal, scale, moves)


def trained(series: Real, autoencoder: str, **options: Any) -> Artifact:
    """A model of what is learnt from."""
    return streamae.train(series.learn, autoencoder, baselines=(), **options)


def by_time(found: pd.DataFrame, series: Real) -> Doubles:
    """A frame of ticks as the notebook gives it, on the ticks of the test [N, C]; NaN where there is none."""
    own = found.set_index("time")[list(series.test.columns)].reindex(series.test.index)
    return own.to_numpy(np.float64)
