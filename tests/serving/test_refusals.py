"""What the service will not guess: it says what is wrong, keeps the rest running, and goes on when that is mended."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from streamae.detection.detector import Checkpoint
from streamae.errors import TopicsError
from streamae.topics import open_store
from streamae.topics.embedded import EmbeddedStore
from streamae.topics.kafka_source import KafkaSource
from streamae.topics.topics import Output, Position, Source, TopicSpec
from tests.graphs import tiny_artifact
from tests.kafka.broker import Broker
from tests.serving.administering import add_partitions, delete_before, make_again
from tests.serving.failing import DistantStore, hooked
from tests.serving.stand import CALM, HOT, Stand, wait_for
from tests.serving.test_stories import Log, overheats
from tests.topics.member import Member


def trim(stand: Stand, partition: int, first: int) -> None:
    """Delete readings before an offset, as retention does."""
    topic = stand.config.topics.readings
    if isinstance(stand.store, EmbeddedStore):
        stand.store.trim(topic, partition, first)
    else:
        delete_before(stand.url, topic, partition, first)


@pytest.mark.parametrize("first", [25, 35], ids=["within the windows", "beyond what was committed"])
def test_a_partition_whose_readings_are_gone_is_held_and_the_others_go_on(
    stand: Stand, caplog: pytest.LogCaptureFixture, first: int
) -> None:
    stand.champion()
    for partition, name in enumerate(("left", "right")):
        stand.publish([(name, tick, CALM) for tick in range(26)], partition)
    stand.serve_all()
    for partition, name in enumerate(("left", "right")):
        stand.publish([(name, tick, CALM) for tick in range(26, 40)], partition)
    trim(stand, 0, first)
    with stand.running() as service:
        wait_for(lambda: service().committed.get(1) == 40)
        wait_for(lambda: "[0] is held: " in caplog.text)
    assert f"retention has deleted all before {first}" in caplog.text
    assert "reset this group's offset to go on" in caplog.text
    assert 0 not in service().committed


def test_readings_that_vanish_while_it_runs_hold_that_partition_only(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.champion()
    hooks: list[Callable[[Source], None]] = []
    stand.open = hooked(hooks)
    stand.publish([("left", tick, CALM) for tick in range(10)], 0)
    with stand.running() as service:
        wait_for(lambda: service().committed.get(0) == 10)
        trim(stand, 0, 10)
        hooks.append(lambda source: source.resume(0, 5))  # as if it had fallen behind
        wait_for(lambda: "[0] is held: " in caplog.text)
        stand.publish([("right", tick, CALM) for tick in range(40)], 1)
        wait_for(lambda: service().committed.get(1) == 40)
    assert service().committed[0] == 10


def test_a_broker_that_is_away_while_the_service_connects_is_waited_for(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.champion()
    stand.open = lambda url: DistantStore(open_store(url))
    stand.publish(overheats())
    stand.serve_all()
    assert "connecting again: a fault on purpose: no source" in caplog.text
    assert "connecting again: a fault on purpose: no sink" in caplog.text
    assert len(stand.alerts()) == 2


def test_a_champion_with_channels_that_no_path_gives_is_refused_by_name(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.champion(tiny_artifact(channels=3))
    stand.publish(overheats())
    with stand.running() as service:
        wait_for(
            lambda: "tiny v0001 needs the channels channel-2, which $.readings.channels does not map" in caplog.text
        )
        stand.champion()
        wait_for(lambda: sum(service().committed.values()) >= 60)
    assert len(stand.alerts()) == 2


def test_episodes_without_a_committed_offset_are_not_guessed_away(stand: Stand) -> None:
    stand.champion()
    stand.store.create([TopicSpec(f"{stand.name}.state", 2, {"cleanup.policy": "compact"})])
    stand.write([Output(f"{stand.name}.state", b"1", b"[]", 1)])
    with pytest.raises(TopicsError, match=r"state\[1\] holds episodes.*Set the group's offset") as refused:
        stand.serve_all()
    assert refused.value.exit_code == 1


def test_a_state_record_of_another_hand_holds_its_partition_and_the_others_go_on(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.champion()
    for partition, name in enumerate(("left", "right")):
        stand.publish([(name, tick, HOT) for tick in range(26)], partition)
    stand.serve_all()
    source = stand.store.source(stand.config.topics.readings, stand.name, "0")
    member = Member(source, stand.store.sink(source, stand.name, "0"))
    member.assigned()
    position = member.committed(0)
    assert position is not None
    checkpoint = Checkpoint.decode(position.metadata)
    assert checkpoint is not None
    member.sink.begin()
    offsets = member.sink.send([Output(f"{stand.name}.state", b"0", b'{"theirs": 1}', 0)])
    moved = msgspec.structs.replace(checkpoint, state_at=offsets[0])
    member.sink.commit({0: Position(position.offset, moved.encode())})
    member.sink.close()
    member.source.close()
    stand.publish([("right", tick, HOT) for tick in range(26, 40)], 1)
    with stand.running() as service:
        wait_for(lambda: service().committed.get(1) == 40)
        wait_for(lambda: "[0] is held: " in caplog.text)
    assert f"{stand.name}.state[0]@{offsets[0]}, which the last commit names: these are no episodes" in caplog.text
    assert 0 not in service().committed


def test_wrong_partition_counts_are_named_and_it_goes_on_once_they_are_right(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.champion()
    alerts = f"{stand.name}.alerts"
    stand.store.create([TopicSpec(alerts, 1)])
    stand.publish(overheats())
    with stand.running() as service:
        wait_for(lambda: f"the topic {alerts} has 1 partitions" in caplog.text)
        assert "they must be equal; add partitions" in caplog.text
        if not isinstance(stand.store, EmbeddedStore):  # where partitions cannot be added later
            add_partitions(stand.url, alerts, 2)
            wait_for(lambda: sum(service().committed.values()) >= 60)


def test_a_broker_that_comes_late_is_waited_for(
    kafka_address: str, tmp_path: Path, topic_name: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    from streamae.topics.kafka import KafkaStore
    from streamae.topics.kafka_client import Timing

    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        late, controller = (f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other))
    listeners = {
        "listeners": f"PLAINTEXT://{late},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{late}",
        "controller.quorum.voters": f"1@{controller}",
    }
    stand = Stand(f"kafka://{kafka_address}", topic_name("plant"), tmp_path)  # its own topics are of no use here
    stand.champion()
    stand.url, stand.open = f"kafka://{late}", lambda url: KafkaStore(late, timing=Timing(bootstrap=1_000))
    with stand.running() as service:
        wait_for(lambda: f"waiting: Kafka at {late} cannot be used" in caplog.text)
        with Broker(listeners):
            stand.__post_init__()
            stand.publish(overheats())
            wait_for(lambda: sum(service().committed.values()) >= 60)
            assert len(stand.alerts()) == 2
            stand.close()


@pytest.fixture
def single(kafka_address: str, tmp_path: Path, topic_name: Callable[[str], str]) -> Iterator[Stand]:
    """A stand on Kafka with one partition."""
    made = Stand(f"kafka://{kafka_address}", topic_name("plant"), tmp_path, 1)
    made.champion()
    yield made
    made.close()


def test_a_new_partition_waits_for_its_outputs_and_the_others_go_on(
    single: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    outputs = [single.config.topic(kind) for kind in ("alerts", "scores", "deadletters", "state")]
    with single.running() as service:
        single.publish(overheats("left"), 0)
        wait_for(lambda: service().committed == {0: 60})
        add_partitions(single.url, single.config.topics.readings, 2)
        wait_for(lambda: "[1] is held: " in caplog.text)
        assert f"the topic {outputs[0]} has 1 partitions" in caplog.text
        single.publish([("left", tick, CALM) for tick in range(60, 70)], 0)
        single.publish(overheats("right"), 1)
        wait_for(lambda: service().committed == {0: 70})
        for topic in outputs:
            add_partitions(single.url, topic, 2)
        wait_for(lambda: service().committed == {0: 70, 1: 60})
    assert [alert.series for alert in single.alerts()] == ["left", "left", "right", "right"]


def test_a_topic_that_was_made_again_is_not_taken_for_the_old_one(
    single: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    calm: Log = [("left", tick, CALM) for tick in range(60)]
    single.publish(calm)
    with single.running() as service:
        wait_for(lambda: service().committed == {0: 60})
        make_again(single.url, single.config.topics.readings, 1)
        wait_for(lambda: "[0] is held: " in caplog.text)
        assert "was deleted and made again" in caplog.text
        single.publish([*calm, *calm])
        wait_for(lambda: service().health()["partitions"] == {"running": 0, "restoring": 1, "held": 1})
        assert service().committed == {0: 60}
    with single.running() as service:
        wait_for(lambda: service().committed == {0: 120})


def test_a_service_that_runs_asks_whether_the_topic_is_still_the_same(
    single: Stand, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the new one holds as many records already, no offset tells."""
    single.publish(overheats())
    with single.running() as service:
        wait_for(lambda: service().committed == {0: 60})
        monkeypatch.setattr(KafkaSource, "identity", lambda source: "another")
        wait_for(lambda: "[0] is held: " in caplog.text)
    assert "was deleted and made again" in caplog.text


def test_a_checkpoint_of_another_topic_of_the_same_name_holds_the_partition(
    single: Stand, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    single.publish(overheats())
    single.serve_all()
    monkeypatch.setattr(KafkaSource, "identity", lambda source: "another")  # the broker deletes a group's offsets first
    single.publish(overheats())
    with single.running() as service:
        wait_for(lambda: "[0] is held: " in caplog.text)
        assert "was deleted and made again" in caplog.text
        assert service().committed == {}
