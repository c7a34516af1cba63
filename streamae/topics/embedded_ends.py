"""The ends of an embedded store that read or write plainly. Each has a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from streamae.errors import RecordsGone
from streamae.topics.embedded_log import Log
from streamae.topics.topics import Bounds, Output, Polled, Position, Records

_RECORDS_PER_POLL = 20_000  # bounds the memory of one poll; large enough that the cost of a query does not show


class EmbeddedReader:
    """A plain subscriber to a topic: committed records only, all partitions."""

    def __init__(self, log: Log, topic: str, start: Literal["earliest", "latest"] | int) -> None:
        self._log = log
        self._topic = topic
        with log.errors():
            bounds = [log.bounds(topic, partition) for partition in range(len(log.slots(topic)))]
            self._targets = [bound.end for bound in bounds]
            self._next = [self._start(partition, bound, start) for partition, bound in enumerate(bounds)]

    def _start(self, partition: int, bounds: Bounds, start: Literal["earliest", "latest"] | int) -> int:
        if isinstance(start, int):
            return self._log.offset_at(self._topic, partition, start)
        return bounds.first if start == "earliest" else bounds.end

    def poll(self, timeout_s: float) -> list[Records]:
        """Wait up to `timeout_s` for records."""
        deadline = time.monotonic() + timeout_s
        with self._log.errors():
            while True:
                seen = self._log.version()
                found = [records for partition in range(len(self._next)) if (records := self._take(partition))]
                if found or not self._log.wait(seen, deadline):
                    return found

    def _take(self, partition: int) -> Records:
        records = self._log.read(self._topic, partition, self._next[partition], _RECORDS_PER_POLL, headers=True)
        if records:
            self._next[partition] = int(records.offset[-1]) + 1
        return records

    def caught_up(self) -> bool:
        """Whether everything that was committed when the reader was opened has been delivered."""
        with self._log.errors():
            return all(self._passed(partition, target) for partition, target in enumerate(self._targets))

    def _passed(self, partition: int, target: int) -> bool:
        if self._next[partition] >= target:
            return True
        left = self._log.read(self._topic, partition, self._next[partition], 1)  # none where they were trimmed
        return not left or bool(left.offset[0] >= target)

    def close(self) -> None:
        """Stop reading."""
        self._log.close()


class EmbeddedWriter:
    """A plain producer: each write is on disk whole, or not at all."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def write(self, outputs: Sequence[Output]) -> None:
        """Write and wait until all are on disk. Raises Unreachable."""
        if outputs:
            with self._log.transaction():
                self._log.append(outputs)

    def close(self) -> None:
        """Stop writing."""
        self._log.close()


class EmbeddedSource:
    """The readings topic, as the one worker of a group sees it: whoever opened it last owns every partition."""

    def __init__(self, log: Log, topic: str, group: str, instance: str) -> None:
        self.topic = topic
        self.group = group
        self._log = log
        self._running: dict[int, int] = {}  # partition -> the next offset to deliver
        self._held: dict[int, int] = {}
        self._announced = False
        claim = (
            "INSERT INTO member VALUES (?, ?, 1) ON CONFLICT (consumers) "
            "DO UPDATE SET instance=excluded.instance, epoch=epoch+1 RETURNING epoch"
        )
        with log.transaction():
            self._partitions = len(log.slots(topic))
            self.epoch = int(log.db.execute(claim, (group, instance)).fetchone()[0])

    def poll(self, timeout_s: float) -> Polled:
        """Wait up to `timeout_s` for records of the running partitions. Raises Unreachable, Fenced, RecordsGone."""
        with self._log.errors():
            self._log.check_owner(self.group, self.epoch)
            if not self._announced:
                self._announced = True
                return Polled(assigned=frozenset(range(self._partitions)))
            deadline = time.monotonic() + timeout_s
            while True:
                seen = self._log.version()
                found = [records for partition in list(self._running) if (records := self._take(partition))]
                if found or not self._log.wait(seen, deadline):
                    return Polled(records=found)
                self._log.check_owner(self.group, self.epoch)

    def _take(self, partition: int) -> Records:
        offset = self._running[partition]
        records = self._log.read(self.topic, partition, offset, _RECORDS_PER_POLL)
        if not records or records.offset[0] > offset:
            self._check_there(partition, offset)
        if records:
            self._running[partition] = int(records.offset[-1]) + 1
        return records

    def _check_there(self, partition: int, offset: int) -> None:
        first, end = self._log.bounds(self.topic, partition)
        if not first <= offset <= end:
            raise RecordsGone(
                f"{self.topic}[{partition}]@{offset} is not there: the partition holds {first} to {end}. "
                "Start the partition again from its first offset, or bring the file back"
            )

    def committed(self, partition: int) -> Position | None:
        """What the group has committed, or None."""
        query = "SELECT offset, metadata FROM position WHERE consumers=? AND topic=? AND partition=?"
        with self._log.errors():
            row = self._log.db.execute(query, (self.group, self.topic, partition)).fetchone()
        return Position(*row) if row else None

    def resume(self, partition: int, offset: int) -> None:
        """Deliver this partition from `offset` on."""
        self._held.pop(partition, None)
        self._running[partition] = offset

    def hold(self, partition: int) -> None:
        """Deliver nothing of this partition until `resume`."""
        if partition in self._running:
            self._held[partition] = self._running.pop(partition)

    def position(self, partition: int) -> int:
        """The next offset that `poll` would deliver."""
        return self._running.get(partition, self._held.get(partition, 0))

    def identity(self) -> str:
        """Always the same: a topic of an embedded store cannot be deleted."""
        return self.topic

    def lag(self, partition: int) -> int:
        """How far `position` is from the end."""
        return self.bounds(partition).end - self.position(partition)

    def bounds(self, partition: int) -> Bounds:
        """The offsets that can be read now."""
        with self._log.errors():
            return self._log.bounds(self.topic, partition)

    def offset_at(self, partition: int, time_ms: int) -> int:
        """The first offset whose record is not older than `time_ms`; the end where there is none."""
        with self._log.errors():
            return self._log.offset_at(self.topic, partition, time_ms)

    def record_at(self, topic: str, partition: int, offset: int) -> bytes:
        """One record by its exact offset. Raises RecordsGone where it is not there."""
        with self._log.errors():
            records = self._log.read(topic, partition, offset, 1)
        if not records or records.offset[0] != offset or records.value[0] is None:
            raise RecordsGone(f"{topic}[{partition}]@{offset} is not there: it was trimmed, or never written")
        return records.value[0]

    def close(self) -> None:
        """Stop reading; the group's positions stay."""
        self._log.close()
