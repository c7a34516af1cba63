"""Guards of settings, errors and the end, each against a real broker, most through a proxy that does the harm.

Each test fails when its guard is taken out: `make guards` takes them out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from streamae.errors import ConfigError, TopicsError, TransactionFailed, Unreachable
from streamae.topics.topics import Output, TopicSpec
from tests.kafka.broker import Broker
from tests.kafka.proxy import Api, Proxy
from tests.topics.member import Stage, eventually, no_socket_left

pytest.importorskip("kafka", reason="topics on Kafka need streamae[serve]")

from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.producer.transaction_manager import TransactionManager

from streamae.topics import open_store
from streamae.topics.kafka import KafkaStore
from streamae.topics.kafka_client import Access, Timing
from tests.topics.proxied.hurried import HURRIED, Within


def test_the_settings_that_exactly_once_needs_cannot_be_overruled(proxy: Proxy, stage: Stage) -> None:
    member = stage.running()
    source, sink = member.source, member.sink
    consumer = source._consumer.config  # type: ignore[attr-defined]
    wanted = {"isolation_level": "read_committed", "auto_offset_reset": "none", "enable_auto_commit": False}
    wanted |= {"check_crcs": True, "key_deserializer": None, "value_deserializer": None, "group_instance_id": "one"}
    wanted |= {"max_poll_interval_ms": HURRIED.poll_interval}
    assert {name: consumer[name] for name in wanted} == wanted
    producer = sink._stock.config  # type: ignore[attr-defined]
    assert producer["transactional_id"] == f"{stage.group}-one"
    assert producer["acks"] == -1
    assert max(producer["retry_backoff_ms"], consumer["retry_backoff_ms"]) <= 20
    assert Timing().transaction <= 10_000 and Timing().session <= 10_000 and Timing().poll_interval <= 60_000


def test_an_address_where_nobody_listens_is_told_with_its_cause() -> None:
    before = set(threading.enumerate())
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1 .*ECONNREFUSED"):
        KafkaStore("127.0.0.1:1", timing=Timing(bootstrap=500)).about()
    assert set(threading.enumerate()) <= before


def test_connects_that_fail_leave_no_socket_open() -> None:
    """kafka-python leaves them to the garbage collector, several of every try."""
    with no_socket_left(), pytest.raises(Unreachable):
        KafkaStore("127.0.0.1:1", timing=Timing(bootstrap=500)).about()


@pytest.mark.parametrize(
    "settings", [{"security_protocol": "TLS"}, {"ssl_cafile": "/no/such/file"}, {"no_such_setting": 1}]
)
def test_a_setting_that_cannot_be_used_is_a_mistake_in_the_config(proxy: Proxy, settings: dict[str, Any]) -> None:
    """kafka-python takes an unknown security protocol for none at all."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        open_store(f"kafka://{proxy.address}", **settings).about()


def test_the_wrong_security_is_told_with_its_cause_and_without_secrets(proxy: Proxy) -> None:
    settings = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
    store = KafkaStore(
        proxy.address, timing=HURRIED, **settings, sasl_plain_username="app", sasl_plain_password="hunter2-secret"
    )
    with pytest.raises((Unreachable, ConfigError)) as caught:
        store.about()
    assert "SASL" in str(caught.value).upper()
    assert "hunter2" not in str(caught.value)
    assert Access("b", {"sasl_plain_password": "hunter2"}, HURRIED)._clean("wrong: hunter2") == "wrong: ***"


def test_a_kafka_python_without_the_parts_that_guards_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(TransactionManager, "begin_commit")
    with pytest.raises(TopicsError, match=r"begin_commit.*kafka-python>=3"):
        KafkaStore("localhost:9092")


@pytest.mark.parametrize("part", ["_offset_fetch_futures", "_heartbeat_enabled"])
def test_a_client_without_the_parts_that_guards_use_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    make = ConsumerCoordinator.__init__

    def incomplete(self: Any, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        delattr(self, part)

    monkeypatch.setattr(ConsumerCoordinator, "__init__", incomplete)
    with pytest.raises(TopicsError, match=rf"{part}.*kafka-python>=3"):
        stage.store.source(stage.readings, stage.group, "one")


def test_without_a_broker_every_call_ends_in_time(topic_name: Callable[[str], str]) -> None:
    timing = replace(HURRIED, bootstrap=1_000)
    with Broker() as broker, KafkaStore(broker.address, timing=timing) as store:
        stage = Stage.set(store, topic_name)
        member = stage.running(1)
        member.take(1)
        reader, writer = store.reader(stage.readings, "earliest"), store.writer()
        member.sink.begin()
        broker.kill()
        calls: list[Callable[[], object]] = [
            lambda: member.source.committed(0),
            lambda: member.source.bounds(0),
            lambda: member.source.offset_at(0, 0),
            lambda: member.source.record_at(stage.readings, 0, 0),
            lambda: writer.write([Output(stage.alerts, b"pump", b"x", 0)]),
            lambda: store.describe([stage.readings]),
            lambda: store.create([TopicSpec("late", 1)]),
            store.about,
        ]
        for call in calls:
            with Within(8), pytest.raises(Unreachable):
                call()
        for poll in (member.source.poll, reader.poll):
            with Within(3):
                poll(0.5)
        with Within(8), pytest.raises(TransactionFailed):
            member.sink.send([Output(stage.alerts, b"pump", b"x", 0)])
        with Within(8), pytest.raises(Unreachable):
            member.sink.renew()
        began = time.monotonic()
    assert time.monotonic() - began < 8, "closing"


def test_a_broker_that_hangs_up_at_once_is_tried_less_and_less_often(stage: Stage, proxy: Proxy) -> None:
    """kafka-python waits only for one that refuses the connection; here it connects again 50 times a second."""
    source: Any = stage.running().source
    failures = source._consumer._client._manager._backoff  # by node: how many in a row, until when, and for how long
    with proxy.rule(Api.API_VERSIONS, "request", "cut"):
        proxy.reset()
        eventually(lambda: any(count >= 4 for count, *_ in list(failures.values())), 10)
    eventually(lambda: not failures, 10)
