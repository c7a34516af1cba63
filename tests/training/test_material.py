"""Odd readings, through a whole job: each is an error that says what to do, or is treated as is written down."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from streamae.detection.artifact import Artifact
from streamae.detection.detector import Rules
from streamae.detection.scoring import Scorer
from streamae.errors import DataError
from streamae.training import files, job
from streamae.training.evaluation import alerted
from streamae.training.material import Material, prepare
from streamae.training.series import stretches
from tests.training.conftest import CHANNELS, configured, fleet_frame


def prepared(frame: pd.DataFrame) -> Material:
    """The material of a frame."""
    return prepare(configured(), files.table(frame, CHANNELS))


def touched(artifact: Artifact, frame: pd.DataFrame, first: int, last: int) -> bool:
    """Whether an alert touches these rows of a frame of one series."""
    windows, policy = configured().windows, configured().episodes
    rules = Rules(lateness=windows.lateness(), policy=policy.policy(windows))
    origins = [channel.origin for channel in artifact.manifest.channels]
    grid = stretches(files.table(frame, CHANNELS), origins, artifact.manifest.window)
    start, end = (int(frame["time"][row]) for row in (first, last))
    return any(one.start < end and (one.end or end) > start for one in alerted(Scorer(artifact), grid, rules))


def test_unordered_rows_that_are_there_twice_train_the_same() -> None:
    frame = fleet_frame(300)
    shuffled = pd.concat([frame, frame]).sample(frac=1, random_state=0)
    one, other = prepared(frame), prepared(shuffled)
    assert one.spans == other.spans
    every = np.arange(len(one.fit.learn))
    np.testing.assert_array_equal(one.fit.learn.windows(every), other.fit.learn.windows(every))
    np.testing.assert_array_equal(one.fit.profiles.table, other.fit.profiles.table)


def test_labels_and_other_columns_train_nothing() -> None:
    frame = fleet_frame(300)
    labelled = frame.assign(label=np.arange(len(frame)) % 2, comment="fine", broken=None)
    every = np.arange(len(prepared(frame).fit.learn))
    np.testing.assert_array_equal(prepared(labelled).fit.learn.windows(every), prepared(frame).fit.learn.windows(every))


def test_an_anomaly_of_ten_units_is_found_at_a_level_of_1e12() -> None:
    frame = fleet_frame(2000, ("m1",))
    frame["heat"] = 1e12 + np.round(frame["heat"].fillna(0) * 2)
    assert frame["heat"].nunique() < 12
    trained = job.train(configured(), frame)
    (origin,) = (channel.origin for channel in trained.manifest.channels if channel.name == "heat")
    assert origin == pytest.approx(1e12)
    assert not touched(trained, frame, 1900, 1930)
    frame.loc[1900:1929, "heat"] += 10
    assert touched(trained, frame, 1900, 1930)


@pytest.mark.parametrize("oddity", [np.inf, -np.inf, 1e300])
def test_rows_with_infinite_values_are_left_out_as_they_are_live(oddity: float) -> None:
    frame = fleet_frame(300)
    spoilt, without = frame.copy(), frame.copy()
    spoilt.loc[50, "heat"] = oddity
    without.loc[50, list(CHANNELS)] = np.nan
    one, other = prepared(spoilt), prepared(without)
    every = np.arange(len(one.fit.learn))
    np.testing.assert_array_equal(one.fit.learn.windows(every), other.fit.learn.windows(every))


def test_readings_far_rarer_than_the_cadence_are_refused_with_their_spacing() -> None:
    frame = fleet_frame(2000)
    rare = frame[frame["time"] % 10_000 == 0]
    with pytest.raises(
        DataError, match=r"2023-.*Z to 2023-.*Z, holds no window .* a tick is 1 s, .* each 10 s; set \$"
    ):
        job.train(configured(), rare)


def test_readings_that_do_not_fit_the_cadence_are_noted() -> None:
    frame = fleet_frame(2000)
    every_second = frame[frame["time"] % 2_000 == 0]
    assert "most ticks are silent: a tick is 1 s, a reading comes each 2 s: see $.windows.cadence_s" in (
        prepared(every_second).notes
    )
    often = frame.assign(time=1_700_000_000_000 + (frame["time"] - 1_700_000_000_000) // 4)
    assert "of about 4 readings a tick of 1 s only the last counts: see $.windows.cadence_s" in prepared(often).notes
    assert not any("cadence" in note for note in prepared(frame).notes)


def test_a_clock_that_was_wrong_once_is_pointed_at() -> None:
    frame = fleet_frame(300)
    frame.loc[5, "time"] = 0
    with pytest.raises(DataError, match=r"no reading to calibrate on: .* 1970-01-01T00:00:00Z to .* a clock that was"):
        job.train(configured(), frame)
    frame.loc[5, "time"] = 4_000_000_000_000
    with pytest.raises(DataError, match=r"no reading to calibrate on: .* to 2096-10-02T07:06:40Z, .* a clock that was"):
        job.train(configured(), frame)


def test_nothing_but_silence_is_refused() -> None:
    frame = fleet_frame(300)
    frame[list(CHANNELS)] = np.nan
    with pytest.raises(DataError, match="no reading to fit on"):
        job.train(configured(), frame)


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(DataError, match="frame: holds no readings"):
        job.train(configured(), fleet_frame(0))
