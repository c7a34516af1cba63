"""Stored readings are scored as serving scores them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamae
from streamae.detection.artifact import Artifact
from streamae.detection.scoring import Scorer
from streamae.detection.windows import Windows
from streamae.errors import DataError
from streamae.history import stored as storing
from streamae.history.scoring import IN_ORDER, moving_mean, scored_windows
from streamae.history.stored import Cuts, Stored
from streamae.training import files
from tests.detection.stage import Stage
from tests.graphs import tiny_artifact
from tests.history.tables import PATIENT, histories, in_order, swinging, table_of
from tests.naive import NaiveWindower, Reading
from tests.strategies import CHANNELS, columns

Key = tuple[str, int]
Found = dict[Key, tuple[object, ...]]


@pytest.fixture(autouse=True)
def _short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of a few readings, so that short logs have several."""
    monkeypatch.setattr(storing, "FEWEST", 7)
    monkeypatch.setattr(storing, "MOST", 7)


def stored_scores(stage: Stage, log: list[Reading]) -> Found:
    manifest = stage.scorer.artifact.manifest
    parts = scored_windows(stage.scorer, Stored.of(table_of(log, manifest), manifest))
    return {key: said for part in parts for key, said in by_window(part.windows, part.scores).items()}


def by_window(windows: Windows, scores: object) -> Found:
    columns = [getattr(scores, one).tolist() for one in ("score", "settled", "threshold", "channel_error")]
    keys = zip(windows.series, windows.start.tolist(), strict=True)
    return dict(zip(keys, zip(windows.observed.tolist(), *columns, strict=True), strict=True))


@PATIENT
@given(histories())
def test_every_window_is_scored_as_the_detector_does_to_the_last_bit(case: tuple[Stage, list[Reading]]) -> None:
    stage, log = case
    ordered = in_order(log, stage.spec.cadence_ms)
    detected = stage.detector().push(columns(ordered))
    live, found = by_window(detected.windows, detected.scores), stored_scores(stage, log)
    assert not detected.late.any()
    assert {key: found[key] for key in live if key in found} == live

    partition = max(reading.time for reading in log)
    lateness, cadence = stage.rules.lateness, stage.spec.cadence_ms
    for series, start in set(found) - set(live):  # the newest, which no later reading has closed yet
        newest = max(reading.time for reading in log if reading.series == series)
        passed = max(newest - lateness.lateness_ms, partition - lateness.max_lag_ms)
        assert start + stage.spec.length_ms > passed
    assert all(start + stage.spec.length_ms <= (partition // cadence + 1) * cadence for _, start in found)


@PATIENT
@given(histories())
def test_windows_are_those_of_the_slow_twin(case: tuple[Stage, list[Reading]]) -> None:
    stage, log = case
    naive = NaiveWindower(stage.spec, IN_ORDER, CHANNELS)
    closed = [window for reading in in_order(log, stage.spec.cadence_ms) for window in naive.push(reading)[0]]
    manifest = stage.scorer.artifact.manifest
    stored = Stored.of(table_of(log, manifest), manifest)
    parts = [part.windows for part in scored_windows(stage.scorer, stored)]
    values = {
        key: value.tobytes()
        for part in parts
        for key, value in zip(zip(part.series, part.start.tolist(), strict=True), part.values, strict=True)
    }
    cuts = Cuts(stored)
    for window in closed:
        expected = np.array(window.values, np.float32)
        assert values[window.series, window.start] == expected.tobytes()
        assert np.array_equal(cuts.window(window.series, window.start), expected, equal_nan=True)


@given(
    places=st.lists(st.integers(0, 60), unique=True, min_size=1).map(sorted),
    count=st.integers(1, 9),
    lag=st.integers(0, 9),
    data=st.data(),
)
def test_a_moving_mean_is_what_it_says(places: list[int], count: int, lag: int, data: st.DataObject) -> None:
    some = st.sampled_from([np.nan, 0.0, 0.5, 3.0, 1e18])
    values = data.draw(st.lists(some, min_size=len(places), max_size=len(places)))
    found = moving_mean(np.array(places), np.array(values), count, lag)
    for place, mean in zip(places, found, strict=True):
        inside = [
            value
            for at, value in zip(places, values, strict=True)
            if place + lag - count < at <= place + lag and not np.isnan(value)
        ]
        expected = sum(inside) / len(inside) if inside else np.nan
        assert np.isclose(mean, expected, rtol=1e-12, equal_nan=True)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return tiny_artifact(length=8, stride=4, smoothing=2, centres={"pump-2": 0.5})


def test_a_row_is_scored_by_the_window_that_ends_with_it(artifact: Artifact) -> None:
    frame = swinging(series=["pump-1"])
    scores = streamae.score(artifact, frame)
    assert scores["score"].iloc[:3].isna().all() and scores["score"].iloc[3:].notna().all()
    assert np.flatnonzero(scores["score"] > 1)[[0, -1]].tolist() == [200, 224]
    assert np.array_equal(
        scores["error_channel-1"].iloc[200:220] > scores["error_channel-0"].iloc[200:220], [True] * 20
    )
    window = frame[["channel-0", "channel-1"]].to_numpy()[93:101]
    weights = np.arange(1, 9)[:, None]
    assert scores["score"].iloc[100] == pytest.approx((window**2 * weights).sum() / (2 * weights.sum()) / 4, rel=1e-5)


@pytest.mark.parametrize("rows", [1, 4, 150, 205, 299])
def test_later_rows_change_nothing_before_them(artifact: Artifact, rows: int) -> None:
    frame = swinging()
    early = frame.groupby("series").head(rows)
    before, after = streamae.score(artifact, early), streamae.score(artifact, frame).loc[early.index]
    names = ["score", "error_channel-0", "error_channel-1"]
    pd.testing.assert_frame_equal(before[names], after[names], check_exact=True)


def test_rows_keep_order_and_index_and_of_a_tick_the_later_one_counts(artifact: Artifact) -> None:
    frame = swinging().set_index(np.arange(600) * 3)
    wrong = frame.assign(**{"channel-0": 50.0}).iloc[[10, 400]]
    both = pd.concat([wrong, frame.sample(frac=1, random_state=1)])
    scores = streamae.score(artifact, both)
    assert scores.index.equals(both.index)
    expected = streamae.score(artifact, frame)
    pd.testing.assert_frame_equal(scores.iloc[2:].sort_index(), expected, check_exact=True)
    pd.testing.assert_frame_equal(scores.iloc[:2], expected.loc[wrong.index], check_exact=True)


def test_gaps_and_silence_are_no_zeros(artifact: Artifact) -> None:
    frame = swinging(series=["pump-1"])
    frame.loc[50:60, "channel-0"] = np.nan
    frame.loc[100:120, ["channel-0", "channel-1"]] = np.nan
    frame = frame.drop(range(150, 190))
    scores = streamae.score(artifact, frame)["score"]
    assert scores.loc[50:60].notna().all() and (scores.loc[50:60] < 1).all()
    assert scores.loc[104:120].isna().all() and scores.loc[125:].drop(range(190, 193)).notna().all()
    assert scores.loc[190:192].isna().all()  # the first after the gap have too little before them


def test_a_series_that_is_not_known_has_the_profile_of_the_fleet(artifact: Artifact) -> None:
    frame = swinging(series=["pump-2"])
    known, stranger = (streamae.score(artifact, frame.assign(series=name)) for name in ("pump-2", "pump-9"))
    fleet = streamae.score(tiny_artifact(length=8, stride=4, smoothing=2), frame)
    assert not np.allclose(known["score"].iloc[10:], fleet["score"].iloc[10:])
    pd.testing.assert_series_equal(stranger["score"], fleet["score"], check_exact=True)


def test_what_cannot_be_scored_is_refused(artifact: Artifact) -> None:
    frame = swinging(rows=20)
    with pytest.raises(DataError, match="no column channel-1; it has series, time, channel-0, flow"):
        streamae.score(artifact, frame.rename(columns={"channel-1": "flow"}))
    with pytest.raises(DataError, match="no row holds a finite value"):
        streamae.score(artifact, frame.assign(**{"channel-0": np.inf}))
    with pytest.raises(DataError, match="no row holds a finite value"):
        streamae.score(artifact, frame.assign(**{"channel-0": np.nan, "channel-1": np.nan}))


def test_windows_have_all_columns_in_the_order_of_their_ends() -> None:
    stage_artifact = tiny_artifact(length=8, stride=2)
    stored = Stored.of(files.table(swinging(), ["channel-0", "channel-1"]), stage_artifact.manifest)
    parts = [part.windows for part in scored_windows(Scorer(stage_artifact), stored)]
    ends = np.concatenate([part.end for part in parts])
    assert (np.diff(ends) >= 0).all()
    assert all(len(getattr(part, one.name)) == len(part) for part in parts for one in fields(part))
