"""Readings as they come: scores are numbers, calm on what is normal and high on what is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

import streamae
from streamae.errors import DataError

Columns = NDArray[np.float64]
ROWS = 900
TAIL = 40  # rows of the fault at the end of what is scored


def waves(rng: Generator, rows: int, channels: int = 2) -> Columns:
    ticks = np.arange(rows)[:, None]
    return np.sin(ticks / (7 + np.arange(channels))) + 0.1 * rng.normal(size=(rows, channels))


def constant(rng: Generator, rows: int) -> Columns:
    return np.column_stack([waves(rng, rows, 1), np.full(rows, 7.0)])


def binary(rng: Generator, rows: int) -> Columns:
    return np.column_stack([waves(rng, rows, 1), rng.random(rows) < 0.1])


def monotonic(rng: Generator, rows: int) -> Columns:
    return np.column_stack([waves(rng, rows, 1), np.arange(rows) * 0.01])


def heavy_tailed(rng: Generator, rows: int) -> Columns:
    return np.asarray(rng.standard_t(1.5, size=(rows, 2)))


def nearly_duplicate(rng: Generator, rows: int) -> Columns:
    one = waves(rng, rows, 1)
    return np.column_stack([one, one + 1e-6 * rng.normal(size=one.shape)])


def huge_and_tiny(rng: Generator, rows: int) -> Columns:
    return waves(rng, rows) * [1e12, 1e-9] + [5e13, 0]


def mostly_silent(rng: Generator, rows: int) -> Columns:
    values = waves(rng, rows)
    values[rng.random(rows) < 0.35] = np.nan
    return values


def frame_of(values: Columns) -> pd.DataFrame:
    time = pd.date_range("2026-01-01", periods=len(values), freq="min", tz="UTC")
    return pd.DataFrame(values, index=time, columns=[f"c{at}" for at in range(values.shape[1])])


def trained_and_scored(kind: Callable[[Generator, int], Columns], rows: int = ROWS) -> pd.DataFrame:
    """Trained on the first two thirds; the fault lies in the first channel, at the end."""
    values = kind(np.random.default_rng(0), rows)
    normal = frame_of(values[: rows * 2 // 3])
    values[-TAIL:, 0] += 100 * np.nanstd(values[:, 0])
    artifact = streamae.train(normal, "pca", baselines=())
    return streamae.score(artifact, frame_of(values))


KINDS = [waves, constant, binary, monotonic, heavy_tailed, nearly_duplicate, huge_and_tiny, mostly_silent]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_numbers_calm_on_normal_readings_and_high_on_a_fault(kind: Callable[..., Columns]) -> None:
    scores = trained_and_scored(kind)
    settled = scores.iloc[128:]
    assert np.isfinite(settled.to_numpy()).all()
    assert (scores["score"].iloc[128 : ROWS * 2 // 3] > 1).mean() < 0.05
    assert (scores["score"].iloc[-TAIL // 2 :] > 1).all()


@pytest.mark.parametrize("channels", [1, 40, 200])
def test_any_number_of_channels(channels: int) -> None:
    """And one channel that is far off is not outvoted by all others."""

    def together(rng: Generator, rows: int) -> Columns:
        return np.asarray(
            waves(rng, rows, 3) @ rng.normal(size=(3, channels)) + 0.1 * rng.normal(size=(rows, channels))
        )

    scores = trained_and_scored(together, rows=3000)
    assert np.isfinite(scores.iloc[128:].to_numpy()).all()
    assert scores["score"].iloc[-10:].min() > 1 > scores["score"].iloc[128:2000].median()


def test_150_rows_are_enough() -> None:
    scores = trained_and_scored(waves, rows=225)
    assert np.isfinite(scores["score"].iloc[64:]).all()
    assert scores["score"].iloc[-10:].min() > 1 > scores["score"].iloc[64:150].median()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
def test_anomalies_in_what_is_learnt_do_not_hide_those_that_come(share: float) -> None:
    def contaminated(rng: Generator, rows: int) -> Columns:
        values = waves(rng, rows)
        spoilt = rng.choice(rows // 10, max(round(share * rows / 10), 1), replace=False)
        for at in spoilt * 10:
            values[at : at + 10, 1] += 5
        return values

    scores = trained_and_scored(contaminated)
    assert (scores["score"].iloc[-TAIL // 2 :] > 1).all()


def test_a_channel_that_dies_is_silence_and_not_an_anomaly() -> None:
    values = waves(np.random.default_rng(0), ROWS, 3)
    artifact = streamae.train(frame_of(values[:600]), "pca", baselines=())
    values[700:, 1] = np.nan
    scores = streamae.score(artifact, frame_of(values))["score"].iloc[128:]
    assert np.isfinite(scores).all()
    assert (scores > 1).mean() < 0.05


def test_a_change_of_units_is_an_anomaly() -> None:
    values = waves(np.random.default_rng(0), ROWS) + 20
    artifact = streamae.train(frame_of(values[:600]), "pca", baselines=())
    values[700:, 0] = values[700:, 0] * 1.8 + 32
    scores = streamae.score(artifact, frame_of(values))["score"]
    assert (scores.iloc[710:] > 1).all()


def test_readings_half_as_often_are_scored_on_what_is_there() -> None:
    values = waves(np.random.default_rng(0), ROWS)
    artifact = streamae.train(frame_of(values[:600]), "pca", baselines=())
    later = frame_of(values).iloc[600:]
    usual = streamae.score(artifact, later)["score"].iloc[140:]
    scores = streamae.score(artifact, later.iloc[::2])["score"].iloc[70:].dropna()
    assert len(scores) > 70
    assert 1 < scores.median() / usual.median() < 2  # a row of the coarse view is the mean of fewer readings: louder


def test_more_silence_than_windows_may_hold_is_refused_with_the_cure() -> None:
    values = waves(np.random.default_rng(0), ROWS)
    values[np.random.default_rng(1).random(ROWS) < 0.7] = np.nan
    with pytest.raises(DataError, match=r"of which 50% was observed"):
        streamae.train(frame_of(values), "pca", baselines=())
