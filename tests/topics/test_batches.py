"""What a fetch brings, unpacked: which records cannot be read, where that is so."""

from __future__ import annotations

import struct
from typing import Any

import pytest

pytest.importorskip("kafka", reason="topics on Kafka need streamae[serve]")

from kafka import TopicPartition
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from streamae.topics.kafka_batches import Batches, DamagedBatch

COUNT = 23  # where a batch says how many records it holds


def batch(first: int, count: int = 10) -> bytearray:
    """Records of these offsets, whose values are their offsets."""
    builder = MemoryRecordsBuilder(2, 0, 2**20)
    for offset in range(first, first + count):
        builder.append(timestamp=offset, key=None, value=b"%d" % offset)
    builder.close()
    whole = bytearray(builder.buffer())
    struct.pack_into(">q", whole, 0, first)  # as the broker does
    return whole


def fetched(offset: int, *batches: bytearray) -> Any:
    """What a fetch at an offset brought."""
    return Batches(offset, TopicPartition("plant", 0), MemoryRecords(b"".join(batches)))


def flip(whole: bytearray, byte: int) -> bytearray:
    """A batch with one bit changed."""
    whole[byte] ^= 1
    return whole


def offsets(found: list[Any]) -> list[int]:
    """Offsets of records, which are what they say."""
    assert [int(record.value) for record in found] == [record.offset for record in found]
    return [record.offset for record in found]


def test_records_before_a_damaged_batch_are_given_out_and_then_it_is_told() -> None:
    found = fetched(3, batch(0), flip(batch(10), 80), batch(20))
    assert offsets(found.take(100)) == list(range(3, 10))
    assert not found
    with pytest.raises(DamagedBatch) as told:
        fetched(10, flip(batch(10), 80), batch(20)).take()
    assert told.value.records[:3] == (0, 10, 20)


def test_a_damaged_batch_ends_where_the_next_one_begins_or_as_it_says() -> None:
    for batches in ([flip(batch(10), COUNT), batch(20)], [flip(batch(10), 80)]):
        with pytest.raises(DamagedBatch) as told:
            fetched(10, *batches).take()
        assert told.value.records[:3] == (0, 10, 20)


def test_a_batch_that_is_sent_for_its_damaged_header_only_is_passed_by() -> None:
    damaged = flip(batch(10), COUNT)
    assert struct.unpack_from(">i", damaged, COUNT)[0] > 10**6
    assert offsets(fetched(20, damaged, batch(20), batch(30)).take()) == list(range(20, 40))


def test_no_more_is_given_out_at_once_than_there_is_room_for_and_none_is_left_out() -> None:
    found = fetched(3, batch(0), batch(10))
    taken = []
    for _ in range(6):
        assert found
        found.bounded.room = 4  # bytes: records of one or two
        taken.append(offsets(found.take(100)))
    assert taken == [[3, 4, 5, 6], [7, 8, 9, 10], [11, 12], [13, 14], [15, 16], [17, 18]]
    assert found.next_fetch_offset == 19
    found.bounded.room = 100
    assert offsets(found.take(100)) == [19]
    assert not found
