"""Guards of members of a group and readers, each against a real broker, most through a proxy that does the harm.

Each test fails when its guard is taken out: `make guards` takes them out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from streamae.errors import Fenced, RecordsGone, TopicsError, Unreachable
from streamae.topics.topics import Output, Position
from tests.kafka.proxy import Api, Proxy
from tests.serving.administering import add_partitions
from tests.topics.member import Member, Stage, drain, eventually, values

pytest.importorskip("kafka", reason="topics on Kafka need streamae[serve]")


from streamae.topics.kafka_client import Timing
from tests.topics.proxied.hurried import HURRIED, Within, clients


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


def test_a_rejoin_that_takes_longer_than_a_poll_is_seen_through(stage: Stage, proxy: Proxy) -> None:
    """kafka-python forgets it: the member has no partitions and no heartbeats, and says nothing."""
    member = stage.running(1)
    member.take(1)
    source: Any = member.source
    add_partitions(f"kafka://{proxy.address}", stage.readings, 3)
    with proxy.rule(Api.SYNC_GROUP, "answer", "hold", times=1) as rule:
        source._consumer._cluster.request_update()
        eventually(lambda: source.poll(0.1) and rule.met.is_set())
        source.poll(0.1)
    assert eventually(lambda: source.poll(0.1).assigned) == {2}


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
    before = set(clients())
    with proxy.rule(Api.LIST_OFFSETS, "request", "drop"), pytest.raises(Unreachable):
        stage.store.source(stage.readings, stage.group, "one")
    eventually(lambda: set(clients()) <= before, 10)


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
    assert not any(member.source.poll(0.3).damaged for _ in range(3))  # until it is resumed
    member.source.resume(0, 0)
    eventually(lambda: member.source.poll(0.1).damaged)
    reader = stage.store.reader(stage.readings, "earliest")
    for _ in range(2):
        with pytest.raises(TopicsError, match=rf"{stage.readings}\[0\]: offsets 0 to 19: .*crc"):
            eventually(lambda: reader.poll(0.1))
    with pytest.raises(RecordsGone, match=rf"{stage.readings}\[0\]: offsets 5 to 19: .*crc"):
        eventually(lambda: member.source.record_at(stage.readings, 0, 5))


def test_the_lag_is_told_while_nobody_answers(stage: Stage, proxy: Proxy) -> None:
    """A gauge that asks the broker holds up the loop for as long as the broker is away."""
    member = stage.running(1)
    member.take(1)
    with proxy.rule(None, "request", "hold"), Within(0.5):
        assert member.source.lag(0) == 0


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
