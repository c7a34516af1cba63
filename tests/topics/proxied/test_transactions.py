"""Guards of producers and transactions, each against a real broker, most through a proxy that does the harm.

Each test fails when its guard is taken out: `make guards` takes them out.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from streamae.errors import Fenced, TransactionFailed, Unreachable
from streamae.topics.topics import Output, Position
from tests.kafka.proxy import DELAY_S, Api, Proxy
from tests.topics.member import Stage, eventually

pytest.importorskip("kafka", reason="topics on Kafka need streamae[serve]")

from kafka.structs import ConsumerGroupMetadata

from streamae.topics import kafka_sink
from tests.topics.proxied.hurried import clients


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
    before = set(clients())
    with proxy.rule(Api.INIT_PRODUCER_ID, "request", "cut"), pytest.raises(Unreachable):
        stage.store.sink(source, stage.group, "one")
    eventually(lambda: set(clients()) <= before, 10)


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
