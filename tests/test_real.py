"""Recordings held against labels: `make real` in small, on the embedded store."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from streamae.registry import Registry
from streamae.training import files
from streamae.training.matching import Alerted, Event
from tests.real.figures import figures
from tests.real.recordings import SETS, Recording, load, missing, records
from tests.real.replay import Outcome, Stage

SKAB, MSL = SETS["skab"], SETS["msl"]


def recording() -> Recording:
    """Ten readings a second apart; the last eight are replayed, of which three are labelled in two events."""
    label = np.isin(np.arange(10), [3, 4, 8])
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    return Recording("valve", ("a", "b"), np.arange(10) * 1000, values, label, prefix=2)


def test_labels_become_events_and_never_records() -> None:
    one = recording()
    assert one.events(1000) == [Event("valve", 3000, 5000), Event("valve", 8000, 9000)]
    assert list(one.history()["a"]) == [0.0, 2.0]
    first, *rest = records([one])
    assert first == (b"valve", b'{"time":2000,"a":4.0,"b":5.0}', 2000)
    assert len(rest) == 7


def test_alerts_are_held_against_events() -> None:
    alert = Alerted("valve", 4000, 7000, known=4500)
    found = figures(SKAB, [recording()], Outcome(alerts=[alert]))
    assert (found["events"], found["found"], found["found_by_older"], found["false"]) == (2, 1, 0, 0)
    assert found["median_delay_s"] == 1.5
    assert found["normal_in_alert"] == 0.4  # at 5 and 6 s, of five seconds that are not labelled
    early = Alerted("valve", 2000, None, known=2500)
    found = figures(SKAB, [recording()], Outcome(alerts=[early]))
    assert (found["found"], found["found_by_older"], found["median_delay_s"]) == (2, 2, None)


def test_a_valve_from_its_prefix_to_its_alerts(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    now = time.time_ns() // 1_000_000
    valves = load(SKAB, now, most=1)
    stage = Stage(f"embedded://{tmp_path / 'topics.db'}", tmp_path, steps=12)
    outcome = stage.replay(SKAB, valves, "fleet", "lstm")
    found = figures(SKAB, valves, outcome)

    begin = int(valves[0].time[valves[0].prefix])
    history = files.read([str(tmp_path / "skab.fleet.lstm" / "history.parquet")], valves[0].channels)
    assert len(history) == 400 and history.time.max() < begin
    assert now - SKAB.stride * SKAB.cadence_ms < valves[0].time[-1] <= now
    assert (found["events"], found["readings"], found["failed"]) == (1, 747, {})
    assert all(alert.start >= begin for alert in outcome.alerts)
    assert outcome.seconds["train"] > 0


def test_a_spacecraft_channel_is_watched_and_its_commands_are_context(tmp_path: Path) -> None:
    if why := missing(MSL):
        pytest.skip(why)
    channel = load(MSL, time.time_ns() // 1_000_000, names=["T-9"])
    stage = Stage(f"embedded://{tmp_path / 'topics.db'}", tmp_path)
    outcome = stage.replay(MSL, channel, "T-9", "pca")
    found = figures(MSL, channel, outcome)

    manifest = Registry(tmp_path / "msl.T-9.pca" / "registry").load("msl.T-9.pca", "v0001").manifest
    assert [one.name for one in manifest.channels if one.scored] == ["f0"]
    assert set(manifest.spans) == {"fit", "calibrate"}
    assert (found["series"], found["readings"], found["events"], found["failed"]) == (1, 1096, 2, {})


def test_what_fails_is_listed_with_its_reason(tmp_path: Path) -> None:
    outcome = Stage(f"embedded://{tmp_path / 'topics.db'}", tmp_path).attempt(SKAB, [recording()], "valve", "pca")
    assert "too few to fit and calibrate on" in outcome.failed["valve"]
    assert figures(SKAB, [recording()], outcome)["failed"] == outcome.failed


def test_data_that_is_absent_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAE_DATA", str(tmp_path))
    assert missing(MSL) == f"no {tmp_path / 'manifest.json'}: name the folder of labelled series in STREAMAE_DATA"
    (tmp_path / "manifest.json").write_text('[{"file": "nasa_msl/T-9.parquet", "train_rows": 439}]')
    assert missing() == ""
    assert missing(MSL) == f"msl: {tmp_path} lacks nasa_msl/T-9.parquet; leave the set out with --sets"
    assert missing(SKAB) == f"skab: {tmp_path} lacks skab/valve1_*.parquet; leave the set out with --sets"
