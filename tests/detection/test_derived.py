"""Derived channels: a reading's hour and mode, made alike wherever readings come from; silence has neither."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamae.detection.derived import calendar_names, completed, derive, mode_names, modes_of, periods_of
from streamae.detection.detector import Detector, Rules
from streamae.detection.episodes import EpisodePolicy, Place
from streamae.detection.grid import Lateness
from streamae.detection.json_records import JsonDecoder
from streamae.detection.manifest import Channel
from streamae.detection.readings import Mapping, Readings, RecordColumns
from streamae.detection.scoring import Scorer
from streamae.history.stored import Stored
from streamae.training import files
from streamae.training.files import Table
from streamae.training.material import of_channels
from streamae.training.series import Pool
from tests.graphs import tiny_artifact

NAMES = ["flow", "state", "@day.sin", "@day.cos", "@state=0", "@state=2"]
CHANNELS = [Channel(name=name, scored=not name.startswith("@")) for name in NAMES]
NOON = 1_700_049_600_000  # 2023-11-15T12:00:00Z, a Wednesday
HOUR = 3_600_000


def angle(time: int, period: str) -> float:
    """Degrees of a period that have passed at a time, by the calendar of the standard library."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)
    of_day = (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)) / timedelta(days=1)
    if period == "day":
        return 360 * of_day
    return 360 * ((moment.weekday() - 3) % 7 + of_day) / 7  # the epoch was a Thursday


@given(st.integers(0, 4 * 10**12), st.sampled_from(["day", "week"]))
def test_a_calendar_is_that_of_utc(time: int, period: str) -> None:
    sin, cos = derive(calendar_names([period]), np.array([time]), [], np.empty((1, 0)))[0]
    apart = np.degrees(np.arctan2(sin, cos)) - angle(time, period)
    assert abs((apart + 180) % 360 - 180) < 1e-3


def test_a_year_is_as_long_as_that_of_the_gregorian_calendar() -> None:
    every = [int(datetime(year, 6, 1, tzinfo=UTC).timestamp() * 1000) for year in range(1970, 2400)]
    sin, cos = derive(calendar_names(["year"]), np.array(every), [], np.empty((len(every), 0))).T
    there = np.degrees(np.unwrap(np.arctan2(sin, cos)))
    assert np.ptp(there) < 360 * 3 / 365  # leap days come and go


def test_a_mode_is_one_of_those_that_are_known_or_none() -> None:
    values = np.array([[1.0, 0], [1, 2], [1, 1], [1, np.nan]])
    made = derive(["@state=0", "@state=2"], np.zeros(4, np.int64), ["flow", "state"], values)
    np.testing.assert_array_equal(made, [[1, 0], [0, 1], [0, 0], [np.nan, np.nan]])


def test_names_say_what_they_stand_for() -> None:
    names = [*calendar_names(["year", "day"]), *mode_names("a=b", [-1.0, 10.0]), *mode_names("state", [3.0])]
    assert periods_of(names) == ["day", "year"]
    assert modes_of(names) == {"a=b": [-1.0, 10.0], "state": [3.0]}
    values = np.array([[10.0]])
    np.testing.assert_array_equal(derive(["@a=b=-1", "@a=b=10"], np.zeros(1, np.int64), ["a=b"], values), [[0, 1]])


def test_what_is_silent_stays_silent() -> None:
    values = np.array([[np.nan, np.nan], [np.nan, 2], [1, np.nan]])
    found = completed(NAMES, np.full(3, NOON), values)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [np.nan, 2, 0, -1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(found[2], [1, np.nan, 0, -1, np.nan, np.nan], atol=1e-12)
    assert completed(NAMES[:2], np.full(3, NOON), values) is values


@pytest.mark.parametrize("layout", ["wide", "tall"])
def test_live_and_stored_readings_are_completed_alike(layout: str) -> None:
    rows = [(NOON + at * 5 * HOUR, float(at), float(at % 3)) for at in range(9)]
    if layout == "wide":
        mapping = Mapping(channels={"flow": "$.f", "state": "$.s"})
        values = [json.dumps({"time": time, "f": flow, "s": state}).encode() for time, flow, state in rows]
        frame = pd.DataFrame(rows, columns=["time", "flow", "state"])
    else:
        mapping = Mapping(layout="tall", channels={"flow": "f", "state": "s"})
        each = [(time, tag, one) for time, *own in rows for tag, one in zip("fs", own, strict=True)]
        values = [json.dumps({"time": time, "channel": tag, "value": one}).encode() for time, tag, one in each]
        frame = pd.DataFrame(each, columns=["time", "tag", "value"])
        frame["flow"], frame["state"] = (frame["value"].where(frame["tag"] == tag) for tag in "fs")
    count = len(values)
    records = RecordColumns(np.arange(count), np.full(count, -1), [b"readings"] * count, values)
    live = JsonDecoder(mapping, CHANNELS).decode(records)
    assert not live.dead
    manifest = msgspec.structs.replace(tiny_artifact().manifest, channels=tuple(CHANNELS))
    stored = Stored.of(files.table(frame, ["flow", "state"]), manifest)
    np.testing.assert_array_equal(live.readings.values, stored.values)
    assert live.readings.values.shape[1] == len(NAMES)
    assert not np.isnan(live.readings.values[:, 2:4]).any()


def test_only_what_is_measured_is_observed_and_blamed() -> None:
    """A dead sensor is not made up for by a clock that goes on: not live, not in stored readings, not in training."""
    tiny = tiny_artifact(2, length=4, stride=4, derived=["@day.sin", "@day.cos", "@channel-0=9"])
    names, time = tiny.manifest.names, np.arange(16) * 1000
    measured = np.array([[9.0, np.nan]] * 16)
    values = completed(names, time, measured).astype(np.float32)
    readings = Readings(("pump-1",), np.zeros(16, np.int32), time, values, np.arange(16))
    policy = EpisodePolicy(fire_after=1, resolve_after=1, expire_after_ms=60_000)
    rules = Rules(lateness=Lateness(lateness_ms=0, max_lag_ms=10_000), policy=policy)
    live = Detector(Scorer(tiny), rules, Place("tiny", "readings", 0)).push(readings)
    assert live.windows.observed.max() == 0.5
    (alert,) = [one for one in live.alerts if one.state == "firing"]
    assert {channel.name for channel in alert.channels} == {"channel-0", "channel-1"}
    table = Table(("pump-1",), np.zeros(16, np.int64), time, measured)
    stored = Stored.of(table, tiny.manifest)
    (part,) = stored.slices()
    assert stored.windower(rules.lateness).push(part).windows.observed.max() == 0.5
    window = tiny.manifest.window
    (stretch,) = of_channels(table, tiny.manifest.channels, window)
    for share, drawn in ((0.5, 13), (0.6, 0)):
        assert len(Pool([stretch], [], msgspec.structs.replace(window, stride=1), share)) == drawn


@pytest.mark.parametrize(
    "names", [["@day.sin", "flow"], ["flow", "@month.sin"], ["flow", "@state=1"], ["flow", "@flow=x"]]
)
def test_a_manifest_of_channels_that_nobody_can_make_is_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"the channel @\S+ is none that this StreamAE derives"):
        msgspec.structs.replace(tiny_artifact().manifest, channels=tuple(Channel(name=name) for name in names))


def test_a_channel_cannot_take_such_a_name() -> None:
    with pytest.raises(ValueError, match=r"@day\.sin: names that begin with @ are those of derived channels"):
        Mapping(channels={"@day.sin": "$.a"})
