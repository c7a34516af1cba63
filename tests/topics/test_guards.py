"""Guards against known faults of kafka-python, each against a real broker, most through a proxy that does the harm.

Each test fails when its guard is taken out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from streamae.errors import ConfigError, Fenced, RecordsGone, TopicsError, TransactionFailed, Unreachable
from streamae.topics.topics import Output, Position, TopicSpec
from tests.kafka.broker import Broker
from tests.kafka.proxy import DELAY_S, Api, Proxy
from tests.topics.member import Member, Stage, drain, eventually, no_socket_left, values

kafka = pytest.importorskip("kafka", reason="topics on Kafka need streamae[serve]")

from kafka.coordinator.consumer import ConsumerCoordinator  # noqa: E402
from kafka.producer.transaction_manager import TransactionManager  # noqa: E402
from kafka.structs import ConsumerGroupMetadata  # noqa: E402

from streamae.topics import kafka_sink, open_store  # noqa: E402
from streamae.topics.kafka import KafkaStore  # noqa: E402
from streamae.topics.kafka_client import Access, Timing  # noqa: E402

HURRIED = Timing(
    session=3_000, heartbeat=300, transaction=3_000, delivery=1_500, request=1_000, bootstrap=3_000, undecided=300
)


@pytest.fixture(scope="module")
def proxy(kafka_address: str) -> Iterator[Proxy]:
    """A broker that is reached through a proxy only, by its clients and by itself."""
    made = Proxy()
    with Broker({"advertised.listeners": f"PLAINTEXT://{made.address}"}) as broker:
        made.target = broker.address
        made.broker = broker  # type: ignore[attr-defined]
        yield made
        made.close()


@pytest.fixture
def stage(proxy: Proxy, topic_name: Callable[[str], str]) -> Iterator[Stage]:
    before = set(threading.enumerate())
    with KafkaStore(proxy.address, timing=HURRIED) as store:
        yield Stage.set(store, topic_name)
    eventually(lambda: not {thread for thread in _clients() if thread not in before}, 10)


def _clients() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "_pump" not in repr(thread)]


# --- producers and transactions -------------------------------------------------------------------------------------


def test_a_batch_that_expired_is_never_committed(stage: Stage, proxy: Proxy) -> None:
    """kafka-python fails the record's future only: the commit after it succeeds, with offsets and without records."""
    member = stage.running(1)
    member.take(1)
    member.sink.begin()
    with pytest.raises(TransactionFailed):
        with proxy.rule(Api.PRODUCE, "request", "cut") as rule:
            member.sink.send([Output(stage.alerts, b"pump", b"lost", 0)])
        member.sink.commit({0: Position(1, "lost")})
    assert rule.met.is_set()
    member.sink.renew()
    assert member.committed(0) is None


def test_offsets_of_a_failed_transaction_do_not_leak_into_the_next(stage: Stage) -> None:
    """A producer that is used again after an abort sends the old transaction's offsets with the new one's."""
    member = stage.running(3)
    member.take(3)
    source: Any = member.source
    right = source.membership
    source.membership = right._replace(generation_id=right.generation_id + 7)
    with pytest.raises(TransactionFailed, match="IllegalGeneration"):
        member.publish([], {0: Position(3, "of a generation that is not ours")})
    source.membership = right
    member.sink.renew()
    member.publish([], {1: Position(0, "ours")})
    assert member.committed(1) == Position(0, "ours")
    assert member.committed(0) is None


def test_an_epoch_raised_within_a_transaction_ends_the_producer(stage: Stage) -> None:
    """On a producer whose epoch was raised within a transaction, every later call raises: renewing has to help."""
    member = stage.running(1)
    member.take(1)
    sink: Any = member.sink
    sink.begin()
    sink.send([Output(stage.alerts, b"pump", b"before", 0)])
    sink._manager.bump_producer_id_and_epoch()
    with pytest.raises(TransactionFailed):
        sink.commit({0: Position(1, "")})
    sink.renew()
    member.publish([Output(stage.alerts, b"pump", b"after", 0)], {0: Position(1, "after")})
    assert stage.everything(stage.alerts) == [b"after"]


def test_a_late_copy_of_a_commit_does_not_commit_the_next_transaction(stage: Stage, proxy: Proxy) -> None:
    """A connection that breaks during a commit makes kafka-python ask twice; the first copy may arrive much later."""
    member = stage.running(1)
    member.take(1)
    with proxy.rule(Api.END_TXN, "request", "cut", times=1) as rule:
        member.publish([Output(stage.alerts, b"pump", b"first", 0)], {0: Position(1, "first")})
    (late,) = rule.frames
    member.sink.begin()
    member.sink.send([Output(stage.alerts, b"pump", b"half", 0)])
    proxy.deliver(late)
    member.sink.renew()
    assert stage.everything(stage.alerts) == [b"first"]


def test_a_commit_whose_answer_is_lost_ends_in_time_and_the_truth_is_what_is_committed(
    stage: Stage, proxy: Proxy
) -> None:
    """kafka-python waits for ever, and the transaction has been committed: only the broker knows."""
    member = stage.running(1)
    member.take(1)
    with proxy.rule(Api.END_TXN, "answer", "drop"):
        began = time.monotonic()
        with pytest.raises(TransactionFailed):
            member.publish([Output(stage.alerts, b"pump", b"alert", 0)], {0: Position(1, "done")})
        assert time.monotonic() - began < 10
    member.sink.renew()
    assert member.committed(0) == Position(1, "done")
    assert stage.everything(stage.alerts) == [b"alert"]


@pytest.mark.parametrize("api", [Api.TXN_OFFSET_COMMIT, Api.END_TXN])
def test_a_commit_that_the_broker_never_gets_ends_in_time(stage: Stage, proxy: Proxy, api: Api) -> None:
    """kafka-python tries again for ever, and its public calls wait for that."""
    member = stage.running(1)
    member.take(1)
    with proxy.rule(api, "request", "cut"):
        began = time.monotonic()
        with pytest.raises(TransactionFailed):
            member.publish([], {0: Position(1, "done")})
        assert time.monotonic() - began < 10
        member.sink.renew()  # before it is lifted: until then the old producer asks again
    assert member.committed(0) is None


def test_a_step_of_a_transaction_waits_for_its_coordinator(stage: Stage) -> None:
    """kafka-python drops the request where the coordinator's node cannot be connected to just then."""
    member = stage.running(1)
    member.take(1)
    sink: Any = member.sink
    sink.begin()
    client, node = sink._producer.sender._client, sink._manager._transaction_coordinator
    client.close(node)
    client._manager.update_backoff(node)
    sink.commit({0: Position(1, "done")})
    assert member.committed(0) == Position(1, "done")


def test_a_transaction_that_waits_for_a_broker_says_so(
    stage: Stage, proxy: Proxy, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_sink, "PATIENT_S", DELAY_S)
    member = stage.running(1)
    member.take(1)
    with proxy.rule(Api.END_TXN, "request", "delay"):
        member.publish([], {0: Position(1, "done")})
    assert f"committing as {stage.group}-one took 0." in caplog.text
    assert "beginning" not in caplog.text


def test_a_start_of_transactions_that_is_not_answered_ends_in_time(stage: Stage, proxy: Proxy) -> None:
    member = stage.running()
    with proxy.rule(Api.INIT_PRODUCER_ID, "request", "cut"):
        began = time.monotonic()
        with pytest.raises(Unreachable):
            member.sink.renew()
        assert time.monotonic() - began < 10
    with pytest.raises(TransactionFailed, match="renew"):
        member.sink.begin()
    member.sink.renew()
    member.sink.begin()


def test_a_sink_that_cannot_start_leaves_no_thread(stage: Stage, proxy: Proxy) -> None:
    source = stage.member().source
    before = set(_clients())
    with proxy.rule(Api.INIT_PRODUCER_ID, "request", "cut"), pytest.raises(Unreachable):
        stage.store.sink(source, stage.group, "one")
    assert set(_clients()) <= before


def test_a_member_without_a_generation_commits_nothing(stage: Stage) -> None:
    """The broker takes generation -1 from anyone, unchecked."""
    member = stage.running(1)
    member.take(1)
    member.source.membership = ConsumerGroupMetadata(stage.group)  # type: ignore[attr-defined]
    with pytest.raises(TransactionFailed):
        member.publish([], {0: Position(1, "unchecked")})
    member.sink.renew()
    assert member.committed(0) is None


@pytest.mark.parametrize("stranger", [{"member_id": "another"}, {"group_instance_id": "nobody"}])
def test_a_member_that_the_group_does_not_know_is_told_to_restart(stage: Stage, stranger: dict[str, str]) -> None:
    member = stage.running(1)
    member.take(1)
    source: Any = member.source
    source.membership = source.membership._replace(**stranger)
    with pytest.raises(Fenced):
        member.publish([], {0: Position(1, "not ours")})
    assert member.committed(0) is None


def test_closing_with_what_cannot_be_delivered_is_quick_and_leaves_no_thread(stage: Stage, proxy: Proxy) -> None:
    member = stage.running(1)
    member.take(1)
    sink: Any = member.sink
    sink.begin()
    sender = sink._producer.sender
    with proxy.rule(Api.PRODUCE, "request", "drop") as rule:
        sink._producer.stock.send(stage.alerts, b"stuck", b"pump", partition=0)
        assert rule.met.wait(10)
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < 5
    assert not sender.is_alive()


def test_a_writer_tells_what_it_could_not_write_and_works_again(stage: Stage, proxy: Proxy) -> None:
    writer = stage.store.writer()
    with proxy.rule(Api.PRODUCE, "request", "drop"), pytest.raises(Unreachable):
        writer.write([Output(stage.alerts, b"pump", b"lost", 0)])
    writer.write([Output(stage.alerts, b"pump", b"written", 0)])
    assert stage.everything(stage.alerts)[-1] == b"written"


# --- members of a group -----------------------------------------------------------------------------------------------


def _undecided(stage: Stage, member: Member, position: Position) -> Member:
    """Leave a transaction open that would move partition 0 to `position`."""
    sink: Any = member.sink
    sink.begin()
    sink._send_positions({0: position})
    return member


def test_the_answer_to_an_earlier_question_is_not_taken_for_this_one(stage: Stage, proxy: Proxy) -> None:
    """After a wait that timed out, kafka-python gives the old answer to the next call: a restart from an old offset."""
    member = stage.running(2)
    member.take(2)
    member.publish([], {0: Position(1, "old")})
    assert member.committed(0) == Position(1, "old")
    with proxy.rule(Api.OFFSET_FETCH, "answer", "hold", times=1) as rule:
        with pytest.raises(Unreachable):
            member.source.committed(0)
        assert rule.met.is_set()
        member.publish([], {0: Position(2, "new")})
    assert member.committed(0) == Position(2, "new")


def test_an_undecided_partition_holds_up_no_other_and_fills_no_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    member = stage.running(1)
    member.take(1)
    _undecided(stage, member, Position(1, "perhaps"))
    stage.write(Output(stage.readings, b"pump", b"other", 1))
    again = stage.store.source(stage.readings, stage.group, "one")
    with caplog.at_level(logging.INFO, "kafka"):
        eventually(lambda: again.poll(0.1).assigned)
        with pytest.raises(Unreachable, match="undecided"):
            again.committed(0)
        assert again.committed(1) is None
        again.resume(1, 0)
        began = time.monotonic()
        assert eventually(lambda: values(again.poll(0.5).records)) == [b"other"]
        assert again.position(1) == 1
        assert time.monotonic() - began < 1.5
        with pytest.raises(Unreachable, match="undecided"):
            again.committed(0)
    assert not [record for record in caplog.records if "fetching offsets" in record.getMessage()]


def test_the_dead_hold_up_nobody_for_longer_than_the_transaction_timeout(stage: Stage) -> None:
    member = stage.running(1)
    member.take(1)
    _undecided(stage, member, Position(1, "never"))
    began = time.monotonic()
    again = stage.store.source(stage.readings, stage.group, "one")
    eventually(lambda: again.poll(0.1).assigned)
    assert eventually(lambda: (again.committed(0),), 20) == (None,)
    assert time.monotonic() - began < 10


def test_the_lag_is_told_while_nobody_answers(stage: Stage, proxy: Proxy) -> None:
    """A gauge that asks the broker holds up the loop for as long as the broker is away."""
    member = stage.running(1)
    member.take(1)
    with proxy.rule(None, "request", "hold"), _Within(0.5):
        assert member.source.lag(0) == 0


def test_a_broker_that_hangs_up_at_once_is_tried_less_and_less_often(stage: Stage, proxy: Proxy) -> None:
    """kafka-python waits only for one that refuses the connection; here it connects again 50 times a second."""
    source: Any = stage.running().source
    failures = source._consumer._client._manager._backoff  # by node: how many in a row, until when, and for how long
    with proxy.rule(Api.API_VERSIONS, "request", "cut"):
        proxy.reset()
        eventually(lambda: any(count >= 4 for count, *_ in list(failures.values())), 10)
    eventually(lambda: not failures, 10)


def test_a_second_member_takes_its_share_and_no_more(stage: Stage) -> None:
    """An eager assignor takes everything from everyone first."""
    member = stage.running(3)
    member.take(3)
    source = stage.store.source(stage.readings, stage.group, "two")
    gained: set[int] = set()
    lost: set[int] = set()

    def shared() -> bool:
        lost.update(member.source.poll(0.05).revoked)
        gained.update(source.poll(0.05).assigned)
        return bool(gained)

    eventually(shared)
    assert len(lost) == 1
    assert gained == lost


def test_a_heartbeat_that_is_lost_costs_no_membership(stage: Stage, proxy: Proxy) -> None:
    """kafka-python sends none while it waits for the answer to the last one."""
    source: Any = stage.running().source
    source.poll(0)
    before = source.membership
    with proxy.rule(Api.HEARTBEAT, "request", "drop", times=1) as rule:
        eventually(rule.met.is_set)
    lost = time.monotonic()
    eventually(lambda: source._coordinator.heartbeat.last_receive > lost)
    source.poll(0)
    assert source.membership == before
    for timing in (HURRIED, Timing()):
        assert 2 * timing.heartbeat + timing.request < timing.session


def test_a_member_knows_the_partitions_before_it_shares_them_out(stage: Stage) -> None:
    """One that joins without the topic's metadata hands out nothing, to everyone.

    Seen: no partitions for 30 s. It is a race within the client that no harm to the network repeats, therefore this
    looks at what prevents it.
    """
    source: Any = stage.store.source(stage.readings, stage.group, "one")
    assert source._consumer._cluster.partitions_for_topic(stage.readings) == {0, 1}


def test_records_of_a_partition_that_went_meanwhile_are_dropped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    member = stage.running(1)
    stage.write(Output(stage.readings, b"pump", b"other", 1))
    source: Any = member.source
    take = source._consumer.poll

    def poll(timeout_ms: int) -> Any:
        found = take(timeout_ms=timeout_ms)
        if found:
            source._rebalances.on_partitions_revoked([source._tp(0)])
        return found

    monkeypatch.setattr(source._consumer, "poll", poll)
    seen: list[bytes | None] = []
    lost: set[int] = set()

    def done() -> bool:
        polled = source.poll(0.1)
        seen.extend(values(polled.records))
        lost.update(polled.revoked)
        return b"other" in seen

    eventually(done)
    assert (seen, lost) == ([b"other"], {0})


def test_what_is_revoked_is_told_no_later_than_the_membership_it_belongs_to(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker checks generations, not ownership: a commit under one that lost the partition would be accepted."""
    source: Any = stage.running().source
    ask = source._consumer.group_metadata

    def group_metadata() -> Any:
        source._rebalances.on_partitions_revoked([source._tp(1)])  # on the network thread, just then
        return ask()

    monkeypatch.setattr(source._consumer, "group_metadata", group_metadata)
    assert source.poll(0.0).revoked == {1}


def test_a_member_whose_instance_joined_again_elsewhere_is_told(stage: Stage) -> None:
    """kafka-python only logs it, ends the heartbeats and goes on fetching."""
    member = stage.running()
    newer = stage.store.source(stage.readings, stage.group, "one")
    eventually(lambda: newer.poll(0.1).assigned)
    eventually(lambda: _raises(Fenced, lambda: member.source.poll(0.1)))


def test_a_member_that_joins_again_in_the_place_of_another_is_told(stage: Stage) -> None:
    member = stage.running()
    newer = stage.store.source(stage.readings, stage.group, "one")
    eventually(lambda: newer.poll(0.1).assigned)
    member.source._coordinator.request_rejoin()  # type: ignore[attr-defined]
    with pytest.raises(Fenced, match="another process has started in this one's place"):
        eventually(lambda: member.source.poll(0.1).records)


def test_a_partition_that_comes_does_not_wait_for_records(stage: Stage) -> None:
    """kafka-python waits for records only."""
    source = stage.member().source
    began = time.monotonic()
    assert source.poll(20.0).assigned == {0, 1}
    assert time.monotonic() - began < 15


def test_a_partition_that_came_and_went_between_two_polls_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    source: Any = stage.member().source
    take = source._consumer.poll

    def poll(timeout_ms: int) -> Any:
        found = take(timeout_ms=timeout_ms)
        if source._rebalances.events:
            source._rebalances.on_partitions_revoked([source._tp(0)])
        return found

    monkeypatch.setattr(source._consumer, "poll", poll)
    polled = eventually(lambda: (found := source.poll(0.1)).revoked and found)
    assert (polled.assigned, polled.revoked) == ({1}, {0})


def test_a_partition_that_has_gone_is_neither_resumed_nor_held(stage: Stage) -> None:
    """The next poll tells that it has gone; until then nothing may end the loop that asks for it."""
    source = stage.running().source
    source.resume(7, 0)
    source.hold(7)
    with pytest.raises(TopicsError, match="not with this member any more"):
        source.position(7)


def test_a_source_that_cannot_start_leaves_no_thread(stage: Stage, proxy: Proxy) -> None:
    before = set(_clients())
    with proxy.rule(Api.LIST_OFFSETS, "request", "drop"), pytest.raises(Unreachable):
        stage.store.source(stage.readings, stage.group, "one")
    assert set(_clients()) <= before


def _raises(kind: type[Exception], ask: Callable[[], object]) -> bool:
    try:
        ask()
    except kind:
        return True
    return False


def test_a_record_of_an_open_transaction_is_found_by_its_offset(stage: Stage) -> None:
    """Markers are written partition by partition: a proof of the commit may come before this partition's marker."""
    member = stage.running()
    member.sink.begin()
    (offset,) = member.sink.send([Output(stage.alerts, b"pump", b"state", 1)])
    assert member.source.record_at(stage.alerts, 1, offset) == b"state"


def test_a_reader_waits_for_what_is_committed_and_not_yet_marked(stage: Stage, proxy: Proxy) -> None:
    """The commit is decided before its markers are written: the last stable offset alone would call it caught up."""
    member = stage.running()
    with proxy.rule(Api.WRITE_TXN_MARKERS, "request", "hold"):
        member.publish([Output(stage.alerts, b"pump", b"alert", 0)], {})
        reader = stage.store.reader(stage.alerts, "earliest")
        assert reader.poll(0.3) == []
        assert not reader.caught_up()
    assert values(drain(reader)) == [b"alert"]


def test_a_damaged_batch_is_told_and_no_endless_loop(stage: Stage, proxy: Proxy) -> None:
    member = stage.running(20)
    (segment,) = proxy.broker.folder.glob(f"data/{stage.readings}-0/*.log")  # type: ignore[attr-defined]
    damaged = bytearray(segment.read_bytes())
    damaged[-3] ^= 0xFF
    segment.write_bytes(damaged)
    (records,) = eventually(lambda: member.source.poll(0.1).damaged)
    assert records[:3] == (0, 0, 20)
    assert "crc" in records.why
    reader = stage.store.reader(stage.readings, "earliest")
    for _ in range(2):
        with pytest.raises(TopicsError, match=rf"{stage.readings}\[0\]: offsets 0 to 19: .*crc"):
            eventually(lambda: reader.poll(0.1))
    with pytest.raises(RecordsGone, match=rf"{stage.readings}\[0\]: offsets 5 to 19: .*crc"):
        eventually(lambda: member.source.record_at(stage.readings, 0, 5))


# --- settings, errors, the end ----------------------------------------------------------------------------------------


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
            with _Within(8), pytest.raises(Unreachable):
                call()
        for poll in (member.source.poll, reader.poll):
            with _Within(3):
                poll(0.5)
        with _Within(8), pytest.raises(TransactionFailed):
            member.sink.send([Output(stage.alerts, b"pump", b"x", 0)])
        with _Within(8), pytest.raises(Unreachable):
            member.sink.renew()
        began = time.monotonic()
    assert time.monotonic() - began < 8, "closing"


class _Within:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        took = time.monotonic() - self._began
        assert took < self._seconds, f"took {took:.1f} s"
