"""VUS-PR: the volume of its definition, and of the tool that published figures are compared with."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamae.history.vus import THRESHOLDS, USUAL, period, volume
from tests.history.tables import PATIENT
from tests.real.recordings import SETS, data_folder, load, missing

Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]
REFERENCE = data_folder().parent / "tools" / "accuracy.py"


@pytest.fixture(scope="module")
def reference() -> Iterator[ModuleType]:
    """The tool that lies beside the data."""
    if not REFERENCE.is_file():
        pytest.skip(f"no {REFERENCE}: name the folder of labelled series, which the tools lie beside, in STREAMAE_DATA")
    spec = importlib.util.spec_from_file_location("accuracy", REFERENCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            patched.setenv(name, "1")  # the tool sets them where they are not set, and they would stay
        spec.loader.exec_module(module)
    yield module


@st.composite
def judged(draw: st.DrawFn, most: int = 300) -> tuple[Flags, Doubles, Doubles]:
    """Labels with at least one event, scores with silence and ties, and a channel."""
    rows = draw(st.integers(2, most))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    label = np.zeros(rows, np.bool_)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, rows - 1))
        label[start : start + draw(st.integers(1, 40))] = True
    score = abs(chance.normal(size=rows)) + label * draw(st.sampled_from([0.0, 1.0, 5.0]))
    score = np.asarray(np.round(score, draw(st.sampled_from([0, 1, 9]))), np.float64)
    score[chance.random(rows) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = np.nan
    wave = np.sin(np.arange(rows) / draw(st.sampled_from([1.5, 4.0, 20.0, 80.0])))
    channel = draw(st.sampled_from([0.0, 1.0])) * wave + draw(st.sampled_from([0.0, 0.2])) * chance.normal(size=rows)
    channel[chance.random(rows) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    return label, score, channel


@PATIENT
@given(judged())
def test_the_volume_is_that_of_the_published_figures(
    reference: ModuleType, case: tuple[Flags, Doubles, Doubles]
) -> None:
    label, score, channel = case
    assert period(channel) == reference.period(channel)
    expected = reference.VusPr(label, channel)(score)
    assert volume(label, score, period(channel)) == pytest.approx(expected, abs=1e-9, rel=0)


@pytest.mark.parametrize("kind", ["skab", "msl"])
def test_so_it_is_on_recorded_series(reference: ModuleType, kind: str) -> None:
    if why := missing(SETS[kind]):
        pytest.skip(why)
    for one in load(SETS[kind], 1_790_000_000_000, most=3):
        values = one.values[one.prefix :].astype(np.float64)
        label, score = one.label[one.prefix :], abs(np.diff(values, axis=0, prepend=values[:1])).sum(axis=1)
        score[:8] = np.nan
        expected = reference.VusPr(label, values[:, 0])(score)
        assert volume(label, score, period(values[:, 0])) == pytest.approx(expected, abs=1e-9, rel=0)


def slowly(label: Flags, score: Doubles, longest: int) -> float:
    """The definition, row by row and threshold by threshold."""
    known = score[np.isfinite(score)]
    score = np.where(np.isfinite(score), score, min([0.0, *known]))
    falling = sorted(score, reverse=True)
    thresholds = [falling[int(at)] for at in np.linspace(0, len(score) - 1, THRESHOLDS)]
    edges = np.flatnonzero(np.diff([0, *label.astype(int), 0]))
    events = list(zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True))
    areas = []
    for width in range(longest + 1):
        reach = width // 2
        soft = label.astype(float)
        wide: list[list[int]] = []
        for first, last in events:
            for row in (*range(first - reach, first), *range(last + 1, last + reach + 1)):
                if 0 <= row < len(label) and not label[row]:
                    soft[row] += np.sqrt(1 - max(first - row, row - last) / width)
            if wide and first - reach <= wide[-1][1]:
                wide[-1][1] = last + reach
            else:
                wide.append([max(first - reach, 0), last + reach])
        soft, before, area = np.minimum(soft, 1), 0.0, 0.0
        for threshold in thresholds:
            above = score >= threshold
            hits, beside = soft[above].sum(), soft[above & ~label].sum()
            touched = np.mean([above[low : high + 1].any() for low, high in wide])
            recall = min(hits / (label.sum() + beside / 2), 1) * touched
            area, before = area + (recall - before) * hits / above.sum(), recall
        areas.append(area)
    return float(np.mean(areas))


@PATIENT
@given(judged(most=60), st.integers(0, 12))
def test_the_volume_is_that_of_the_definition(case: tuple[Flags, Doubles, Doubles], longest: int) -> None:
    label, score, _ = case
    assert volume(label, score, longest) == pytest.approx(slowly(label, score, longest), abs=1e-12)


def test_scores_are_better_the_more_they_tell_apart() -> None:
    chance = np.random.default_rng(0)
    label = np.isin(np.arange(2000), [*range(700, 760), *range(1500, 1540)])
    noise = chance.random(2000)
    blind, fair, sharp = (volume(label, noise + label * lift, 40) for lift in (0.0, 0.5, 5.0))
    assert blind < 0.15 < fair < sharp
    assert sharp > 0.85
    early = np.roll(label, -10) * 5 + noise  # found, but ten rows too soon
    exact = volume(label, early, 0)
    assert exact < volume(label, early, 40) < sharp


def test_a_channel_repeats_or_it_does_not() -> None:
    rows = np.arange(3000)
    assert period(np.sin(rows * 2 * np.pi / 48)) == 48
    assert period(np.zeros(500)) == period(np.arange(4.0)) == period(np.array([1.0])) == USUAL
    assert period(np.sin(rows * 2 * np.pi / 350)) == USUAL  # longer than what is taken for a period
    gaps = np.where(rows % 17 == 0, np.nan, np.sin(rows * 2 * np.pi / 48))
    assert period(gaps) == 48
