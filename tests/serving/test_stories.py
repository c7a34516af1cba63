"""The service as its users meet it: readings on a topic, alerts on another."""

from __future__ import annotations

import msgspec
import pytest

from streamae.detection.manifest import WindowSpec
from tests.graphs import tiny_artifact
from tests.serving.stand import CALM, HOT, Stand, at, wait_for

Log = list[tuple[str, int, float | None]]


def overheats(name: str = "pump-7") -> Log:
    """A calm pump that overheats for ten ticks."""
    return [(name, tick, HOT if 20 <= tick < 30 else CALM) for tick in range(60)]


def fleet(pumps: int = 5) -> Log:
    """Several pumps, interleaved; each overheats at its own time."""
    ticks = [(f"pump-{pump}", tick, pump) for tick in range(80) for pump in range(pumps)]
    return [(name, tick, HOT if 20 + 3 * pump <= tick < 30 + 4 * pump else CALM) for name, tick, pump in ticks]


def test_a_pump_overheats_one_alert_fires_and_resolves(stand: Stand) -> None:
    stand.champion()
    stand.publish(overheats())
    stand.serve_all()
    fired, resolved = stand.alerts()
    assert (fired.state, resolved.state, resolved.reason) == ("firing", "resolved", "recovered")
    assert fired.id == resolved.id
    assert fired.series == "pump-7"
    assert fired.version == "v0001"
    assert at(18) <= fired.start <= at(22)
    assert resolved.end is not None and at(30) <= resolved.end <= at(34)
    assert [channel.name for channel in fired.channels] == ["channel-0", "channel-1"]
    assert fired.channels[0].actual == pytest.approx(HOT)
    assert fired.channels[0].expected == pytest.approx(0)


def test_a_service_that_is_stopped_and_started_publishes_what_one_run_publishes(stand: Stand) -> None:
    stand.champion()
    log = fleet()
    for part in range(0, len(log), 90):
        stand.publish(log[part : part + 90])
        stand.serve_all()
    in_pieces = stand.alerts(), [score[1:] for score in stand.scores()]

    stand.name += "-again"
    stand.__post_init__()
    stand.publish(log)
    stand.serve_all()
    assert [without_place(alert) for alert in stand.alerts()] == [without_place(alert) for alert in in_pieces[0]]
    assert [score[1:] for score in stand.scores()] == in_pieces[1]


def without_place(alert: object) -> object:
    """An alert without the place that it was found in, which has another name in the second run."""
    facts = msgspec.to_builtins(alert)
    return {**facts, "source": facts["source"]["first"]}


def test_a_new_champion_takes_over_between_transactions(stand: Stand) -> None:
    stand.champion()
    log = overheats()
    with stand.running() as service:
        stand.publish(log[:25])
        wait_for(lambda: sum(service().committed.values()) >= 25)
        stand.champion(tiny_artifact(threshold=5.0))
        wait_for(lambda: service().models.champion_version == "v0002")
        stand.publish(log[25:])
        wait_for(lambda: sum(service().committed.values()) >= 60)
    fired, resolved = stand.alerts()
    assert fired.id == resolved.id
    versions = [score[-1] for score in stand.scores()]
    assert versions == sorted(versions) and set(versions) == {"v0001", "v0002"}
    assert len(versions) == len({score[1:3] for score in stand.scores()})


def test_a_champion_with_other_windows_withdraws_what_was_firing(stand: Stand) -> None:
    stand.champion()
    log = overheats()
    with stand.running() as service:
        stand.publish(log[:28])
        wait_for(lambda: sum(service().committed.values()) >= 28)
        stand.champion(tiny_artifact(length=6, stride=3))
        wait_for(lambda: len(stand.alerts()) == 2)
        stand.publish(log[28:])
        wait_for(lambda: sum(service().committed.values()) >= 60)
    _, withdrawn = stand.alerts()
    assert (withdrawn.state, withdrawn.reason) == ("resolved", "withdrawn")
    assert stand.registry.load("tiny", "v0002").manifest.window == WindowSpec(length=6, stride=3, cadence_ms=1000)
    assert {score[-1] for score in stand.scores()} == {"v0001", "v0002"}


def test_other_settings_begin_windows_anew_and_withdraw(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.champion()
    log = overheats()
    stand.publish(log[:28])
    stand.serve_all()
    stand.changes["episodes"] = {"resolve_after": 2}
    stand.publish(log[28:])
    stand.serve_all()
    assert [alert.reason for alert in stand.alerts()] == [None, "withdrawn"]
    assert "windows begin anew at offset 28" in caplog.text


def test_it_waits_for_topics_and_a_champion_and_goes_on(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.publish(overheats())
    with stand.running() as service:
        wait_for(lambda: "has no champion" in caplog.text)
        stand.champion()
        wait_for(lambda: sum(service().committed.values()) >= 60)
    assert len(stand.alerts()) == 2


def test_missing_topics_are_named_with_their_cure(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.champion()
    with stand.running(create_topics=False):
        wait_for(lambda: f"the topic {stand.name}.alerts does not exist: start with --create-topics" in caplog.text)


def test_a_damaged_champion_leaves_the_old_one_serving(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.champion()
    pointer = stand.folder / "registry" / "tiny" / "champion.json"
    sound = pointer.read_bytes()
    stand.champion(tiny_artifact(threshold=5.0))
    damaged = pointer.read_bytes()
    pointer.write_bytes(sound)
    model = stand.folder / "registry" / "tiny" / "v0002" / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(b"?" + model.read_bytes()[1:])
    with stand.running() as service:
        stand.publish(overheats()[:25])
        wait_for(lambda: sum(service().committed.values()) >= 25)
        pointer.write_bytes(damaged)
        wait_for(lambda: "v0001 goes on serving" in caplog.text and "model.onnx is damaged" in caplog.text)
        stand.publish(overheats()[25:])
        wait_for(lambda: sum(service().committed.values()) >= 60)
    assert [alert.version for alert in stand.alerts()] == ["v0001", "v0001"]
