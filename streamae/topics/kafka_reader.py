"""Reading Kafka topics without a group: subscribers, and single records by their exact offset."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

import kafka.errors as faults
from kafka import TopicPartition

from streamae.errors import RecordsGone, TopicsError, Unreachable
from streamae.topics.kafka_batches import DAMAGED, DamagedBatch
from streamae.topics.kafka_client import Access, asked, columns
from streamae.topics.topics import Records


class KafkaReader:
    """A plain subscriber to a topic: committed records only, all partitions."""

    def __init__(
        self, access: Access, topic: str, targets: Mapping[int, int], start: Literal["earliest", "latest"] | int
    ) -> None:
        self._topic = topic
        self._targets = targets  # partition -> its end when the reader was opened, transactions under way included
        self._timeout = access.timing.request
        self._consumer = access.consumer(max_poll_records=4_000)
        try:
            tps = [TopicPartition(topic, partition) for partition in targets]
            self._consumer.assign(tps)
            with asked(f"the offsets of {topic}"):
                for tp, offset in self._offsets(tps, start).items():
                    self._consumer.seek(tp, offset)
        except BaseException:
            self.close()
            raise

    def _offsets(
        self, tps: list[TopicPartition], start: Literal["earliest", "latest"] | int
    ) -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = self._consumer.end_offsets(tps, timeout_ms=self._timeout)
        if start == "latest":
            return ends
        if start == "earliest":
            firsts: dict[TopicPartition, int] = self._consumer.beginning_offsets(tps, timeout_ms=self._timeout)
            return firsts
        found = self._consumer.offsets_for_times(dict.fromkeys(tps, start), timeout_ms=self._timeout)
        return {tp: ends[tp] if found[tp] is None else found[tp].offset for tp in tps}

    def poll(self, timeout_s: float) -> list[Records]:
        """Wait up to `timeout_s` for records."""
        with asked(f"reading {self._topic}"):
            try:
                found = self._consumer.poll(timeout_ms=max(0, int(timeout_s * 1000)))
            except DamagedBatch as error:
                raise TopicsError(f"{self._topic}[{error.records.partition}]: {error}. {DAMAGED}") from error
        return [columns(tp, rows, headers=True) for tp, rows in found.items()]

    def caught_up(self) -> bool:
        """Whether everything that was committed when the reader was opened has been delivered."""
        # By position, which passes control records and aborted ones; an offset of a record may never reach the end.
        return all(
            self._consumer.position(TopicPartition(self._topic, partition), timeout_ms=0) >= target
            for partition, target in self._targets.items()
        )

    def close(self) -> None:
        """Stop reading."""
        with suppress(Exception):
            self._consumer.close(autocommit=False, timeout_ms=1_000)


class ExactReader:
    """Single records by their exact offset, read uncommitted.

    The caller holds a proof that the record is committed. The partitions' commit markers are written one by one, so a
    reader of committed records might not see yet what the proof speaks of.
    """

    def __init__(self, access: Access) -> None:
        self._timing = access.timing
        self._consumer: Any = access.consumer(isolation_level="read_uncommitted", max_poll_records=1)

    def record_at(self, topic: str, partition: int, offset: int) -> bytes:
        """One record. Raises RecordsGone where it is not there, Unreachable where the broker is not."""
        tp, place = TopicPartition(topic, partition), f"{topic}[{partition}]@{offset}"
        gone = RecordsGone(f"{place} is not there: retention or compaction deleted it, or it was never written")
        deadline = time.monotonic() + self._timing.request / 1000
        with asked(place):
            self._consumer.assign([tp])
            self._consumer.seek(tp, offset)
            while time.monotonic() < deadline:
                for record in self._found(tp):
                    if record.offset != offset or record.value is None:
                        raise gone
                    return bytes(record.value)
                if self._consumer.position(tp, timeout_ms=0) > offset or self._beyond(tp, offset):
                    raise gone
        raise Unreachable(f"{place}: no answer within {self._timing.request} ms")

    def _found(self, tp: TopicPartition) -> list[Any]:
        try:
            found: list[Any] = self._consumer.poll(timeout_ms=100).get(tp, [])
        except DamagedBatch as error:
            raise RecordsGone(f"{tp.topic}[{tp.partition}]: {error}. {DAMAGED}") from error
        return found

    def _beyond(self, tp: TopicPartition, offset: int) -> bool:
        with suppress(faults.KafkaError):
            return bool(offset >= self._consumer.end_offsets([tp], timeout_ms=1_000)[tp])
        return False

    def close(self) -> None:
        """Stop reading."""
        with suppress(Exception):
            self._consumer.close(autocommit=False, timeout_ms=1_000)
