"""The Detector is its slow twin, alerts come in pairs, and a restored one goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamae.detection.alerts import Alert
from streamae.detection.detector import Checkpoint, Rules, fits
from streamae.detection.episodes import EpisodePolicy
from streamae.detection.grid import Lateness
from tests.detection.stage import Stage, by_series, scorer, stages
from tests.detection.test_windows import rows
from tests.naive import Reading
from tests.strategies import columns, cuts, logs, polls


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_alerts_are_those_of_the_slow_twin_for_any_cut_of_any_log(data: st.DataObject) -> None:
    stage = data.draw(stages())
    log = data.draw(logs(stage.spec.cadence_ms))
    naive, detector = stage.naive(), stage.detector()
    expected = [alert for reading in log for alert in naive.push(reading)]
    found = [alert for poll in polls(log, data.draw(cuts(len(log)))) for alert in detector.push(poll).alerts]
    assert by_series(found) == by_series(expected)
    fired = [episode for episode in naive.tracker.episodes.values() if episode.channels is not None]
    assert detector.open_episodes == len(fired)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_firing_is_resolved_once_under_its_own_id(data: st.DataObject) -> None:
    stage = data.draw(stages())
    detector, alerts = stage.detector(), list[Alert]()
    for poll in polls(log := data.draw(logs(stage.spec.cadence_ms)), data.draw(cuts(len(log)))):
        alerts += detector.push(poll).alerts
    alerts += detector.withdraw()
    assert len({alert.id for alert in alerts}) * 2 == len(alerts)
    for series in {alert.series for alert in alerts}:
        mine = [alert for alert in alerts if alert.series == series]
        for firing, resolved in zip(mine[::2], mine[1::2], strict=True):
            assert (firing.state, firing.reason, firing.end) == ("firing", None, None)
            assert resolved.state == "resolved" and resolved.reason
            assert (firing.id, firing.start, firing.channels) == (resolved.id, resolved.start, resolved.channels)
            assert resolved.end is not None and resolved.end >= firing.start
            assert firing.source.first >= resolved.source.first and firing.source.last <= resolved.source.last
            assert resolved.peak.score >= firing.peak.score > 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_detector_that_is_restored_at_every_record_finds_the_same(data: st.DataObject) -> None:
    stage = data.draw(stages())
    log = data.draw(logs(stage.spec.cadence_ms, most=40))
    steady = restored = stage.detector()
    for at, reading in enumerate(log):
        restored = stage.restored(log, restored, at)
        want, found = steady.push(columns([reading])), restored.push(columns([reading]))
        assert by_series(found.alerts) == by_series(want.alerts)
        assert rows(found.windows) == rows(want.windows)
        assert found.late.tolist() == want.late.tolist()
        assert (restored.replay_from(), restored.episodes()) == (steady.replay_from(), steady.episodes())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_follows_a_restore_is_the_same_however_it_is_cut(data: st.DataObject) -> None:
    stage = data.draw(stages())
    log = data.draw(logs(stage.spec.cadence_ms))
    at = data.draw(st.integers(0, len(log)))
    steady = stage.detector()
    steady.push(columns(log[:at]))
    restored = stage.restored(log, steady, at)
    want = steady.push(columns(log[at:]))
    found = [restored.push(poll) for poll in polls(log[at:], data.draw(cuts(len(log) - at)))]
    assert by_series(alert for each in found for alert in each.alerts) == by_series(want.alerts)
    assert sorted(row for each in found for row in rows(each.windows)) == rows(want.windows)


def stage(lateness: Lateness, **policy: float) -> Stage:
    """Windows of 4 s every 2 s; an error above 4 fires, so 10 is an anomaly and 0 is not."""
    return Stage(scorer(4, 2, 1000, 1), Rules(lateness=lateness, policy=msgspec.convert(policy, EpisodePolicy)))


@pytest.fixture
def prompt() -> Stage:
    return stage(Lateness(max_lag_ms=5_000), fire_after=1, resolve_after=1, expire_after_ms=20_000)


def line(series: str, values: str, first: int = 0) -> list[Reading]:
    """A reading a second: 0 is normal, ! is anomalous, a dot is silence."""
    level = {"0": 0.0, "!": 10.0}
    return [
        Reading(series, 1000 * at, (level[each], level[each]), at)
        for at, each in enumerate(values, start=first)
        if each != "."
    ]


def test_the_alert_of_a_pump_that_overheats(prompt: Stage) -> None:
    detector = prompt.detector()
    firing, resolved = detector.push(columns(line("pump-1", "000000!!!!00000000"))).alerts
    assert (firing.state, firing.series, firing.model, firing.version) == ("firing", "pump-1", "tiny", "1")
    assert firing.source == msgspec.structs.replace(firing.source, topic="readings", partition=3)
    assert [(each.name, each.share, each.expected, each.actual) for each in firing.channels] == [
        ("channel-0", 0.5, 10.0, 20.0),  # in raw units: the origin is added again
        ("channel-1", 0.5, 0.0, 10.0),
    ]
    assert (resolved.state, resolved.reason, resolved.id) == ("resolved", "recovered", firing.id)
    assert firing.threshold == 4.0


def test_an_alert_names_all_records_that_it_was_found_in() -> None:
    lateness = Lateness(lateness_ms=5_000, max_lag_ms=9_000)
    patient = stage(lateness, fire_after=3, resolve_after=1, expire_after_ms=20_000)
    shuffled = line("pump-1", "....!") + line("pump-1", "!!!!.!!!!!!!!!")
    log = [replace(reading, offset=at) for at, reading in enumerate(shuffled)]
    detected = patient.detector().push(columns(log))
    assert detected.windows.first_offset.tolist()[:3] == [1, 1, 0]  # the third window begins with an earlier record
    (firing,) = detected.alerts
    assert firing.source.first == 0


def test_an_episode_whose_series_falls_silent_ends_by_the_partitions_event_time(prompt: Stage) -> None:
    detector = prompt.detector()
    (firing,) = detector.push(columns(line("pump-1", "0!!!!!!!"))).alerts
    assert detector.open_episodes == 1
    assert detector.push(columns(line("valve", "0" * 15, first=8))).alerts == []
    (resolved,) = detector.push(columns(line("valve", "0" * 20, first=23))).alerts
    assert (resolved.reason, resolved.id, detector.open_episodes) == ("silent", firing.id, 0)


def test_withdrawing_resolves_what_is_open(prompt: Stage) -> None:
    detector = prompt.detector()
    fired = detector.push(columns(line("pump-1", "0!!!!!!!") + line("pump-0", "0!!!!!!!", first=8))).alerts
    withdrawn = detector.withdraw()
    assert [alert.series for alert in withdrawn] == ["pump-0", "pump-1"]
    assert {alert.id for alert in withdrawn} == {alert.id for alert in fired}
    assert {alert.reason for alert in withdrawn} == {"withdrawn"}
    assert detector.withdraw() == []


def test_a_detector_restored_without_readings_knows_what_is_late(prompt: Stage) -> None:
    detector = prompt.detector()
    assert (detector.replay_from(), detector.partition_newest) == (None, None)
    detector.restore(100_000, None)
    detected = detector.push(columns(line("pump-1", "0", first=50) + line("pump-1", "0", first=100)))
    assert detected.late.tolist() == [True, False]
    assert detector.partition_newest == 100_000
    assert detector.series == ["pump-1"]


def test_windows_that_a_checkpoint_has_passed_are_not_given_out_again(prompt: Stage) -> None:
    detector = prompt.detector()
    detector.follow(columns(line("pump-1", "0!!!!!")))
    detector.restore(100_000, None)
    assert (detector.series, detector.replay_from()) == ([], None)
    assert len(detector.push(columns(line("pump-1", "0", first=100))).windows) == 0


def test_following_tells_nothing(prompt: Stage) -> None:
    detector = prompt.detector()
    detector.follow(columns(line("pump-1", "0!!!!!!!")))
    assert (detector.open_episodes, detector.episodes()) == (0, b"[]")


def test_a_swap_goes_on_with_windows_and_episodes(prompt: Stage) -> None:
    detector = prompt.detector()
    (firing,) = detector.push(columns(line("pump-1", "0!!!!!!!"))).alerts
    detector.swap(scorer(4, 2, 1000, 3))
    (resolved,) = detector.push(columns(line("pump-1", "0" * 12, first=8))).alerts
    assert resolved.id == firing.id


def test_models_fit_where_windows_and_channels_are_the_same() -> None:
    one, same, other = (scorer(*spec).artifact.manifest for spec in [(4, 2, 1000, 1), (4, 2, 1000, 3), (2, 2, 1000, 1)])
    assert fits(one, same)
    assert not fits(one, other)


def test_a_checkpoint_is_text_and_other_text_is_none() -> None:
    checkpoint = Checkpoint(settings_hash="ab", replay_from=7, partition_newest=None, version="1", state_at=3)
    assert Checkpoint.decode(checkpoint.encode()) == checkpoint
    text = checkpoint.encode()
    others = [
        "",
        "{",
        "null",
        '{"format": 2}',
        "\ud800",
        '{"x":' + "[" * 4000,
        text.replace('"format":1', '"format":2'),
    ]
    others += [
        text.replace('"replay_from":7', f'"replay_from":{number}') for number in (-1, 2**62, 2**64, "7.5", "null")
    ]
    others += [text.replace('"state_at":3', f'"state_at":{number}') for number in (-1, 2**63)]
    others += [text.replace('"partition_newest":null', '"partition_newest":9223372036854775807')]
    assert text not in others
    for other in others:
        assert Checkpoint.decode(other) is None
