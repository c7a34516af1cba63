"""The readings topic on Kafka, as one static member of a consumer group sees it."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import Any

import kafka.errors as faults
from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState

from streamae.errors import Fenced, TopicsError
from streamae.topics.kafka_batches import DamagedBatch
from streamae.topics.kafka_client import Access, asked, columns
from streamae.topics.kafka_private import private
from streamae.topics.kafka_reader import ExactReader
from streamae.topics.topics import Bounds, Damaged, Polled, Position

_RECORDS_PER_POLL = 4_000
_SLICE_MS = 50


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what was gained and lost. It runs on kafka-python's network thread, where every call that waits raises."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self.events: deque[tuple[bool, frozenset[int]]] = deque()  # (gained, partitions), oldest first

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        # Paused, so that nothing is delivered before the restore. The seek is a dummy: a partition without a position
        # makes every call for any other partition wait until its committed offset is decided.
        self.consumer.pause(*assigned)
        for tp in assigned:
            self.consumer.seek(tp, 0)
        self._note(True, assigned)

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self._note(False, revoked)

    def on_partitions_lost(self, lost: list[TopicPartition]) -> None:
        self._note(False, lost)

    def _note(self, gained: bool, partitions: list[TopicPartition]) -> None:
        self.events.append((gained, frozenset(tp.partition for tp in partitions)))

    def take(self) -> tuple[frozenset[int], frozenset[int]]:
        """What was gained and lost since the last time; what came and went again counts as lost only."""
        gained: frozenset[int] = frozenset()
        lost: frozenset[int] = frozenset()
        while self.events:
            is_gain, partitions = self.events.popleft()
            gained = gained | partitions if is_gain else gained - partitions
            lost = lost if is_gain else lost | partitions
        return gained, lost


class KafkaSource:
    """One member of a consumer group; the same instance started again gets its partitions back at once."""

    def __init__(self, access: Access, topic: str, group: str, instance: str) -> None:
        self.topic = topic
        self.group = group
        self.membership: Any = None  # under which the records of the last poll were taken; the sink commits under it
        self._access = access
        self._exact: ExactReader | None = None
        self._deaf_since: float | None = None
        timing = access.timing
        self._consumer = access.consumer(
            group_id=group,
            group_instance_id=instance,
            # Not the eager default, which takes everything from everyone at each change of membership.
            partition_assignment_strategy=[CooperativeStickyAssignor()],
            session_timeout_ms=timing.session,
            heartbeat_interval_ms=timing.heartbeat,
            max_poll_interval_ms=timing.poll_interval,
            max_poll_records=_RECORDS_PER_POLL,
        )
        try:
            self._coordinator = private(self._consumer, "_coordinator")
            self._undecided = private(self._coordinator, "_offset_fetch_futures")
            private(self._coordinator, "_heartbeat_enabled")
            private(self._coordinator, "rejoining")
            self._cluster = private(self._consumer, "_cluster")
            private(self._cluster, "topic_id")
            self._rebalances = _Rebalances()
            self._rebalances.consumer = self._consumer
            self._consumer.subscribe(topics=[topic], listener=self._rebalances)
            # A member that joins before it knows the topic's partitions may share out none of them, to everyone, and
            # that stays until the next refresh of metadata. Asking for offsets waits for the metadata, within a bound.
            self.bounds(0)
        except BaseException:
            self.close()
            raise

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def poll(self, timeout_s: float) -> Polled:
        """Wait up to `timeout_s` for records of the running partitions. Raises Unreachable, Fenced, RecordsGone."""
        found: dict[TopicPartition, list[Any]] = {}
        damaged: list[Damaged] = []
        with asked(f"reading {self.topic} as group {self.group}"):
            try:
                found = self._wait(timeout_s)
            except DamagedBatch as error:
                damaged.append(self._within(error.records))
                self.hold(error.records.partition)
        # In this order: the generation rises before the revocations of that generation are noted, so what is noted by
        # now is all that the membership taken here allows for. Records of partitions that have gone meanwhile are
        # dropped; records that this misses are refused by the broker, because their generation is over.
        self.membership = self._consumer.group_metadata()
        gained, lost = self._rebalances.take()
        self._check_heard()
        moved = gained | lost
        records = [columns(tp, rows) for tp, rows in found.items() if tp.partition not in moved]
        return Polled(gained, lost, records, [one for one in damaged if one.partition not in moved])

    def _within(self, damaged: Damaged) -> Damaged:
        """The same, but never past the end: how many records there are was read in a damaged header."""
        end = self._consumer.highwater(self._tp(damaged.partition))
        return damaged._replace(next=min(damaged.next, max(end or 0, damaged.first + 1)))

    def _wait(self, timeout_s: float) -> dict[TopicPartition, list[Any]]:
        # In slices: kafka-python waits for records only, and a partition that came would wait with it.
        deadline = time.monotonic() + timeout_s
        while True:
            rest = max(0, int((deadline - time.monotonic()) * 1000))
            found: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=min(rest, _SLICE_MS))
            if found or self._rebalances.events or rest <= _SLICE_MS:
                return found

    def _check_heard(self) -> None:
        """Raise Fenced where the broker refused this member's heartbeats, which kafka-python only logs."""
        # A member that joins is without heartbeats for a moment, therefore the patience.
        deaf = self.membership.state is MemberState.STABLE and not self._coordinator._heartbeat_enabled
        now = time.monotonic()
        self._deaf_since = (self._deaf_since or now) if deaf else None
        if self._deaf_since is not None and now - self._deaf_since > self._access.timing.session / 3000:
            raise Fenced(f"group {self.group}: another process has joined as {self.membership.group_instance_id!r}")

    def committed(self, partition: int) -> Position | None:
        """What the group has committed, or None. Raises Unreachable while that is undecided: ask again later."""
        # A call that timed out leaves its answer-to-be behind, and the next call would return that: the offset from
        # before the commit that was waited for.
        self._undecided.clear()
        with asked(f"the committed offset of {self.topic}[{partition}] in group {self.group} is undecided"):
            found = self._consumer.committed(
                self._tp(partition), metadata=True, timeout_ms=self._access.timing.undecided
            )
        return None if found is None else Position(found.offset, found.metadata)

    def resume(self, partition: int, offset: int) -> None:
        """Deliver this partition from `offset` on."""
        with suppress(ValueError, KeyError):  # revoked meanwhile, which the next poll reports
            self._consumer.seek(self._tp(partition), offset)  # before resume: the position is a dummy until now
            self._consumer.resume(self._tp(partition))

    def hold(self, partition: int) -> None:
        """Deliver nothing of this partition until `resume`."""
        with suppress(ValueError, KeyError):
            self._consumer.pause(self._tp(partition))

    def position(self, partition: int) -> int:
        """The next offset that `poll` would deliver, past control records and aborted ones."""
        # Asked of the client, never last + 1: offsets have gaps, and a replay up to a committed offset would not end.
        try:
            position = self._consumer.position(self._tp(partition), timeout_ms=0)
        except (faults.IllegalStateError, KeyError) as error:
            raise TopicsError(f"{self.topic}[{partition}] is not with this member any more: poll first") from error
        return int(position or 0)

    def identity(self) -> str:
        """The topic's id in the newest metadata; empty where there is no topic, or a broker older than Kafka 2.8."""
        found = self._cluster.topic_id(self.topic)
        return str(found) if found and found.int else ""

    def lag(self, partition: int) -> int | None:
        """How far `position` is from the end that the last answer told of; None before the first one."""
        # Not asked of the broker: while one is away, the question would hold up the loop.
        position, end = self.position(partition), None
        with suppress(faults.IllegalStateError, KeyError):  # revoked meanwhile, which the next poll reports
            end = self._consumer.highwater(self._tp(partition))
        return None if end is None else max(int(end) - position, 0)

    def bounds(self, partition: int) -> Bounds:
        """The offsets that can be read now. Raises Unreachable."""
        tp, timeout = self._tp(partition), self._access.timing.request
        with asked(f"the offsets of {self.topic}[{partition}]"):
            first = self._consumer.beginning_offsets([tp], timeout_ms=timeout)[tp]
            return Bounds(first, self._consumer.end_offsets([tp], timeout_ms=timeout)[tp])

    def offset_at(self, partition: int, time_ms: int) -> int:
        """The first offset whose record is not older than `time_ms`; the end where there is none."""
        tp = self._tp(partition)
        with asked(f"the offset of {self.topic}[{partition}] at {time_ms} ms"):
            found = self._consumer.offsets_for_times({tp: time_ms}, timeout_ms=self._access.timing.request)[tp]
        return self.bounds(partition).end if found is None else int(found.offset)

    def record_at(self, topic: str, partition: int, offset: int) -> bytes:
        """One record by its exact offset, read uncommitted. Raises RecordsGone, Unreachable."""
        if self._exact is None:
            self._exact = ExactReader(self._access)
        return self._exact.record_at(topic, partition, offset)

    def close(self) -> None:
        """Leave quietly: the group keeps this instance's partitions for it until the session ends."""
        with suppress(Exception):
            self._consumer.close(autocommit=False, timeout_ms=1_000)
        if self._exact is not None:
            self._exact.close()
