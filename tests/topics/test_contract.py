"""What every store keeps: the rules of `streamae.topics.topics`, on SQLite and on a real Kafka."""

from __future__ import annotations

import time
from typing import Any

import pytest

from streamae.errors import Fenced, RecordsGone, TopicsError, TransactionFailed
from streamae.topics.embedded import EmbeddedStore
from streamae.topics.placement import partition_of
from streamae.topics.topics import METADATA_LIMIT, Output, Position, TopicSpec, TopicStore
from tests.topics.member import Stage, drain, eventually, values


def test_records_come_in_order_with_growing_offsets(stage: Stage) -> None:
    member = stage.running(500)
    batches = member.take(500)
    assert values(batches) == [b"reading-%d" % number for number in range(500)]
    offsets = [int(offset) for records in batches for offset in records.offset]
    assert offsets == sorted(set(offsets))
    assert {(records.topic, records.partition) for records in batches} == {(stage.readings, 0)}


def test_keys_timestamps_and_tombstones_are_kept(stage: Stage) -> None:
    stage.write(
        Output(stage.readings, b"pump", b"a", 0, timestamp=1_234), Output(stage.readings, b"pump", None, 0, timestamp=7)
    )
    stage.write(Output(stage.readings, None, b"no key", 1))
    member = stage.member()
    for partition in member.assigned():
        member.source.resume(partition, 0)
    first, second = sorted(_merged(member.take(3)).values(), key=len, reverse=True)
    assert first == [(b"pump", b"a", 1_234), (b"pump", None, 7)]
    ((key, value, stamp),) = second
    assert (key, value) == (None, b"no key")
    assert abs(stamp - time.time() * 1000) < 60_000


def _merged(batches: list[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for records in batches:
        rows = zip(records.key, records.value, records.timestamp.tolist(), strict=True)
        found.setdefault(records.partition, []).extend(rows)
    return found


def test_a_reader_is_given_headers(stage: Stage) -> None:
    headers = (("content-type", b"json"), ("trace", b"\x00\xff"))
    stage.write(Output(stage.readings, b"pump", b"a", 0, headers), Output(stage.readings, b"pump", b"b", 0))
    reader = stage.store.reader(stage.readings, "earliest")
    found = [one for records in drain(reader) for one in records.headers]
    reader.close()
    assert found == [headers, ()]


def test_a_new_partition_delivers_nothing_until_it_is_resumed(stage: Stage) -> None:
    stage.fill(3)
    member = stage.member()
    assert member.assigned() == {0, 1}
    stage.write(Output(stage.readings, b"pump", b"later", 0))
    assert member.source.poll(0.5).records == []
    member.source.resume(0, 1)
    assert values(member.take(3)) == [b"reading-1", b"reading-2", b"later"]


def test_assigned_is_reported_once(stage: Stage) -> None:
    member = stage.member()
    assert member.assigned() == {0, 1}
    later = member.source.poll(0.2)
    assert (later.assigned, later.revoked, later.records) == (frozenset(), frozenset(), [])


def test_a_held_partition_is_silent_and_goes_on_from_where_it_is_told(stage: Stage) -> None:
    member = stage.running(4)
    member.take(4)
    member.source.hold(0)
    stage.write(Output(stage.readings, b"pump", b"later", 0))
    assert member.source.poll(0.3).records == []
    member.source.resume(0, 2)
    assert values(member.take(3)) == [b"reading-2", b"reading-3", b"later"]


def test_poll_waits_for_records_and_no_longer_than_it_may(stage: Stage) -> None:
    member = stage.running()
    began = time.monotonic()
    assert member.source.poll(0.4).records == []
    assert 0.3 < time.monotonic() - began < 2


def test_position_follows_what_was_delivered(stage: Stage) -> None:
    member = stage.running(5)
    assert member.source.position(0) == 0
    member.take(5)
    assert member.source.position(0) == member.source.bounds(0).end == 5
    member.source.hold(0)
    member.source.resume(0, 3)
    assert member.source.position(0) == 3


def test_lag_is_what_is_left_to_deliver(stage: Stage) -> None:
    member = stage.running(5)
    member.take(5)
    assert member.source.lag(0) == 0
    member.source.resume(0, 3)
    assert member.source.lag(0) == 2


def test_nothing_is_committed_at_first(stage: Stage) -> None:
    member = stage.member()
    member.assigned()
    assert member.committed(0) is None


def test_outputs_and_positions_are_committed_together(stage: Stage) -> None:
    member = stage.running(5)
    member.take(5)
    position = Position(5, '{"replay_from": 3, "note": "ä"}')
    offsets = member.publish([Output(stage.alerts, b"pump", b"alert-%d" % n, 1) for n in range(3)], {0: position})
    assert len(offsets) == 3
    assert offsets == sorted(set(offsets))
    assert member.committed(0) == position
    assert member.committed(1) is None
    assert stage.everything(stage.alerts) == [b"alert-0", b"alert-1", b"alert-2"]


def test_positions_alone_and_outputs_alone_can_be_committed(stage: Stage) -> None:
    member = stage.running(1)
    member.take(1)
    member.publish([], {0: Position(1, "")})
    assert member.committed(0) == Position(1, "")
    member.publish([Output(stage.alerts, b"pump", b"alone")], {})
    assert stage.everything(stage.alerts) == [b"alone"]


def test_an_open_transaction_is_seen_by_nobody(stage: Stage) -> None:
    member = stage.running(1)
    member.take(1)
    member.sink.begin()
    member.sink.send([Output(stage.alerts, b"pump", b"open", 0)])
    reader = stage.store.reader(stage.alerts, "earliest")
    assert reader.poll(0.3) == []
    member.sink.commit({0: Position(1, "done")})
    assert eventually(lambda: values(reader.poll(0.1))) == [b"open"]


def test_what_was_given_up_is_seen_by_nobody(stage: Stage) -> None:
    member = stage.running(1)
    member.take(1)
    member.sink.begin()
    # Into the readings as well, so that a Source has aborted records to pass.
    member.sink.send([Output(stage.alerts, b"pump", b"aborted", 0), Output(stage.readings, b"pump", b"aborted", 0)])
    member.sink.renew()
    member.publish([Output(stage.alerts, b"pump", b"kept", 0)], {0: Position(1, "kept")})
    assert member.committed(0) == Position(1, "kept")
    assert stage.everything(stage.alerts) == [b"kept"]
    stage.write(Output(stage.readings, b"pump", b"next", 0))
    assert values(member.take(1)) == [b"next"]


def test_position_passes_what_is_no_readers_business(stage: Stage) -> None:
    """A replay that waits for the end of a partition ends, though its last records are aborted ones and markers."""
    member = stage.running(3)
    member.take(3)
    member.sink.begin()
    member.sink.send([Output(stage.readings, b"pump", b"aborted", 0)] * 5)
    member.sink.renew()
    end = eventually(lambda: member.source.bounds(0).end)
    member.source.resume(0, 1)
    seen: list[bytes | None] = []

    def at_the_end() -> bool:
        seen.extend(values(member.source.poll(0.05).records))
        return member.source.position(0) >= end

    eventually(at_the_end)
    assert seen == [b"reading-1", b"reading-2"]


def test_offsets_of_a_transaction_are_those_of_its_records(stage: Stage) -> None:
    member = stage.running(1)
    member.take(1)
    for number in range(3):
        value = b"state-%d" % number
        (offset,) = member.publish([Output(stage.alerts, b"pump", value, 1)], {0: Position(1, "")})
        assert member.source.record_at(stage.alerts, 1, offset) == value


def test_a_record_that_is_not_there_is_gone(stage: Stage) -> None:
    member = stage.running(3)
    member.publish([Output(stage.alerts, b"pump", b"one", 0)], {})
    end = eventually(lambda: member.source.bounds(0).end)
    for offset in (end, end + 10):
        with pytest.raises(RecordsGone, match=f"{stage.readings}.*0.*{offset}"):
            member.source.record_at(stage.readings, 0, offset)


def test_after_a_failure_the_sink_refuses_until_it_is_renewed(stage: Stage) -> None:
    member = stage.running(1)
    member.take(1)
    member.sink.begin()
    with pytest.raises((TransactionFailed, TopicsError)):
        member.sink.send([Output(stage.alerts, b"pump", b"no such partition", 99)])
    for again in (member.sink.begin, lambda: member.sink.send([]), lambda: member.sink.commit({})):
        with pytest.raises(TransactionFailed, match="renew"):
            again()
    member.sink.renew()
    member.publish([Output(stage.alerts, b"pump", b"kept", 0)], {0: Position(1, "")})
    assert stage.everything(stage.alerts) == [b"kept"]


def test_begin_twice_is_a_mistake_of_the_caller(stage: Stage) -> None:
    member = stage.running()
    member.sink.begin()
    with pytest.raises(TopicsError, match="open already"):
        member.sink.begin()


@pytest.mark.parametrize("text", ["x" * METADATA_LIMIT, "ä" * METADATA_LIMIT])
def test_the_longest_checkpoint_fits(stage: Stage, text: str) -> None:
    member = stage.running(1)
    member.take(1)
    member.publish([], {0: Position(1, text)})
    assert member.committed(0) == Position(1, text)


def test_a_checkpoint_that_is_too_long_is_refused_and_the_transaction_lives(stage: Stage) -> None:
    member = stage.running(1)
    member.take(1)
    member.sink.begin()
    member.sink.send([Output(stage.alerts, b"pump", b"alert", 0)])
    with pytest.raises(TopicsError, match="4097 characters"):
        member.sink.commit({0: Position(1, "x" * (METADATA_LIMIT + 1))})
    member.sink.commit({0: Position(1, "short")})
    assert member.committed(0) == Position(1, "short")


def test_the_same_instance_started_again_takes_over_at_once(stage: Stage) -> None:
    member = stage.running(2)
    member.take(2)
    member.publish([Output(stage.alerts, b"pump", b"before", 0)], {0: Position(2, "before")})
    began = time.monotonic()
    again = stage.member()
    assert again.assigned() == {0, 1}
    assert again.committed(0) == Position(2, "before")
    assert time.monotonic() - began < 8, "no wait for the session of the one before"
    again.source.resume(0, 2)
    stage.write(Output(stage.readings, b"pump", b"next", 0))
    assert values(again.take(1)) == [b"next"]
    again.publish([Output(stage.alerts, b"pump", b"after", 0)], {0: Position(3, "after")})
    assert stage.everything(stage.alerts) == [b"before", b"after"]


def test_a_transaction_left_open_by_the_dead_is_undone_by_the_next(stage: Stage) -> None:
    member = stage.running(2)
    member.take(2)
    member.publish([], {0: Position(1, "before")})
    member.sink.begin()
    member.sink.send([Output(stage.alerts, b"pump", b"half", 0)])
    if isinstance(stage.store, EmbeddedStore):
        member.sink.close()  # as the end of the process would: the file's lock goes with it
    again = stage.member()
    again.assigned()
    assert again.committed(0) == Position(1, "before")
    again.publish([Output(stage.alerts, b"pump", b"whole", 0)], {0: Position(2, "after")})
    assert stage.everything(stage.alerts) == [b"whole"]


@pytest.mark.parametrize("moment", ["before begin", "before send", "before commit"])
def test_a_zombie_is_fenced_whatever_it_does_next(stage: Stage, moment: str) -> None:
    zombie = stage.running(2)
    zombie.take(2)
    if moment != "before begin":
        zombie.sink.begin()
    if moment == "before commit" and not isinstance(stage.store, EmbeddedStore):
        zombie.sink.send([Output(stage.alerts, b"pump", b"zombie", 0)])  # SQLite: it would hold the lock, alive
    owner = stage.member()
    with pytest.raises(Fenced):
        if moment == "before begin":
            zombie.sink.begin()
        if moment != "before commit":
            zombie.sink.send([Output(stage.alerts, b"pump", b"zombie", 0)])
        zombie.sink.commit({0: Position(2, "zombie")})
    owner.assigned()
    assert owner.committed(0) is None
    owner.publish([Output(stage.alerts, b"pump", b"owner", 0)], {0: Position(1, "owner")})
    assert stage.everything(stage.alerts) == [b"owner"]


def test_offsets_that_were_deleted_are_gone_and_said_to_be(stage: Stage) -> None:
    member = stage.running(10)
    member.take(10)
    _delete_before(stage, 0, 6)
    assert eventually(lambda: member.source.bounds(0).first == 6)
    member.source.resume(0, 3)
    with pytest.raises(RecordsGone, match=rf"{stage.readings}.*3"):
        eventually(lambda: member.source.poll(0.1).records)
    with pytest.raises(RecordsGone):
        member.source.record_at(stage.readings, 0, 3)
    member.source.resume(0, 6)
    assert values(member.take(4)) == [b"reading-%d" % number for number in range(6, 10)]


def _delete_before(stage: Stage, partition: int, offset: int) -> None:
    if isinstance(stage.store, EmbeddedStore):
        stage.store.trim(stage.readings, partition, offset)
        return
    from kafka import KafkaAdminClient, TopicPartition

    access = stage.store._access  # type: ignore[attr-defined]
    admin = access.connect(KafkaAdminClient)
    admin.delete_records({TopicPartition(stage.readings, partition): offset})
    admin.close()


def test_offsets_are_found_by_time(stage: Stage) -> None:
    member = stage.running(10)  # 1000, 1001, ... ms
    assert member.source.offset_at(0, 0) == 0
    assert member.source.offset_at(0, 1_004) == 4
    assert member.source.offset_at(0, 5_000) == 10
    assert member.source.offset_at(1, 0) == 0
    assert member.source.bounds(0) == (0, 10)


@pytest.mark.parametrize(("start", "expected"), [("earliest", [0, 1, 2, 3, 4]), ("latest", []), (1_003, [3, 4])])
def test_a_reader_starts_where_it_is_told(stage: Stage, start: Any, expected: list[int]) -> None:
    stage.fill(5)
    reader = stage.store.reader(stage.readings, start)
    assert values(drain(reader)) == [b"reading-%d" % number for number in expected]
    stage.write(Output(stage.readings, b"pump", b"new", 0))
    assert eventually(lambda: values(reader.poll(0.1))) == [b"new"]


def test_a_reader_of_nothing_has_caught_up(stage: Stage) -> None:
    assert stage.everything(stage.alerts) == []


def test_a_reader_sees_what_was_committed_before_it_was_opened(stage: Stage) -> None:
    """At once after the commit, when its markers may not have been written everywhere yet."""
    member = stage.running(1)
    member.take(1)
    for number in range(10):
        outputs = [Output(stage.alerts, b"pump", b"%d" % number, partition) for partition in (0, 1)]
        member.publish(outputs, {0: Position(1, "")})
        assert len(stage.everything(stage.alerts)) == 2 * (number + 1)


def test_keys_are_placed_alike_in_every_store(stage: Stage) -> None:
    keys = [b"", b"p", b"pump-7", "pümp".encode(), *(b"series-%d" % number for number in range(40))]
    stage.write(*(Output(stage.readings, key, b"x") for key in keys))
    reader = stage.store.reader(stage.readings, "earliest")
    placed = {key: records.partition for records in drain(reader) for key in records.key}
    assert placed == {key: partition_of(key, 2) for key in keys}


def test_topics_are_created_once_and_described_as_they_are(store: TopicStore, topic_name: Any) -> None:
    name, other = topic_name("state"), topic_name("none")
    spec = TopicSpec(name, 3, {"cleanup.policy": "compact", "retention.ms": "3600000"})
    assert store.describe([name, other]) == {name: None, other: None}
    store.create([spec])
    store.create([TopicSpec(name, 5)])
    assert store.describe([name, other]) == {name: spec, other: None}


def test_a_topic_that_is_not_there_is_named(store: TopicStore, topic_name: Any) -> None:
    name = topic_name("none")
    for ask in (lambda: store.source(name, "group", "one"), lambda: store.reader(name, "earliest")):
        with pytest.raises(TopicsError, match=name):
            ask()


def test_the_store_tells_what_it_is(store: TopicStore) -> None:
    assert "SQLite" in store.about() or "Kafka" in store.about()
    assert "\n" not in store.about()
