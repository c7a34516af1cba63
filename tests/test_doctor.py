"""`streamae doctor` against real brokers: what would keep a service from its work is found before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from streamae.batch import now_ms
from streamae.doctor import examine
from streamae.serving.provision import provide
from streamae.serving.settings import Settings
from streamae.topics.topics import Output, TopicSpec
from tests.kafka.cluster import Cluster
from tests.kafka.secure import SecureBroker
from tests.serving.stand import CALM, Stand, wait_for


@pytest.fixture
def guarded(secure_broker: SecureBroker, tmp_path: Path, topic_name: Callable[[str], str]) -> Iterator[Stand]:
    """A stand whose service has to log in, with all topics and some readings."""
    changes = {"topics": secure_broker.topics()}
    made = Stand(f"kafka://{secure_broker.address('PLAINTEXT')}", topic_name("plant"), tmp_path, 2, changes)
    made.champion()
    provide(made.store, Settings.of(made.config))
    made.publish([("pump", tick, CALM) for tick in range(10)], 0)
    yield made
    made.close()


def found(stand: Stand, *states: str) -> list[str]:
    """What the doctor says, of these states."""
    return [finding.what for finding in examine(stand.config) if finding.state in states]


def test_where_all_is_well_it_says_so(guarded: Stand) -> None:
    assert found(guarded, "warning", "fault") == []
    said = " ".join(found(guarded, "ok"))
    assert "all topics are there, with 2 partitions each" in said
    assert "of 10 sampled records 0 would be dead letters" in said
    assert "GiB are free for the registry" in said


def forbidden(secure_broker: SecureBroker, stand: Stand) -> dict[str, tuple[AbstractContextManager[None], str]]:
    """What can be taken away, and what is then said."""
    topic, name = stand.config.topic, stand.name
    readings = stand.config.topics.readings
    return {
        "reading": (
            secure_broker.denied(readings, "READ"),
            f"not allowed to READ {readings}: give this user the permission",
        ),
        "alerting": (secure_broker.denied(topic("alerts"), "WRITE"), f"not allowed to WRITE {topic('alerts')}"),
        "seeing": (secure_broker.denied(topic("state"), "DESCRIBE"), f"DESCRIBE {topic('state')}): give this user"),
        "joining": (secure_broker.denied(name, "DESCRIBE", "GROUP"), f"not allowed to READ the group {name}"),
        "committing": (
            secure_broker.denied(f"{name}-0", "DESCRIBE", "TRANSACTIONAL_ID"),
            f"not allowed to WRITE as the transactional id {name}-0",
        ),
    }


@pytest.mark.parametrize("what", ["reading", "alerting", "seeing", "joining", "committing"])
def test_a_missing_permission_is_named(guarded: Stand, secure_broker: SecureBroker, what: str) -> None:
    denied, said = forbidden(secure_broker, guarded)[what]
    with denied:
        assert any(said in one for _ in range(20) for one in found(guarded, "fault"))


def test_what_a_lost_broker_would_take_with_it_is_named(kafka_address: str, tmp_path: Path) -> None:
    with Cluster() as cluster:
        stand = Stand(f"kafka://{cluster.direct}", "plant", tmp_path, 1)
        stand.champion()
        alerts = stand.config.topic("alerts")
        stand.store.create([TopicSpec(alerts, 1, {"min.insync.replicas": "1"})])
        provide(stand.store, Settings.of(stand.config))
        assert any(f"{alerts}: with min.insync.replicas = 1" in one for one in found(stand, "warning"))
        assert found(stand, "fault") == []
        cluster.brokers[0].kill()
        wait_for(lambda: any("2 of 3 replicas are in sync" in one for one in found(stand, "warning")))
        stand.close()


def test_a_clock_that_is_wrong_is_named(guarded: Stand) -> None:
    ahead_ms = now_ms() + 1_800_000  # brokers refuse more than an hour
    guarded.write([Output(guarded.config.topics.readings, b"pump", b"{}", 0, (), ahead_ms)])
    assert any("s from now: this clock or its producer's is wrong" in one for one in found(guarded, "warning"))
