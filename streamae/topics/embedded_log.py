"""One connection to the file of an embedded store: where SQL is spoken, and where SQLite's errors become ours.

N is the number of records of one read.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from streamae.errors import Fenced, TopicsError, Unreachable
from streamae.topics.placement import partition_of
from streamae.topics.topics import Bounds, Headers, Output, Records

_APPLICATION = 0x53414531  # "SAE1": tells our files from anyone else's
_SCHEMA = """
CREATE TABLE IF NOT EXISTS topic (name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, settings TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS slot (
    slot INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    first INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, partition));
CREATE TABLE IF NOT EXISTS record (
    slot INTEGER NOT NULL, offset INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    key BLOB, value BLOB, headers BLOB, PRIMARY KEY (slot, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS member (consumers TEXT PRIMARY KEY, instance TEXT NOT NULL, epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS position (
    consumers TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    offset INTEGER NOT NULL, metadata TEXT NOT NULL, PRIMARY KEY (consumers, topic, partition)) WITHOUT ROWID;
"""
_CHECK_EVERY_S = 0.003


class Log:
    """The topics of one file, through one connection of its own."""

    def __init__(self, path: Path, busy_s: float) -> None:
        self.path = path
        with self.errors():
            # Autocommit: transactions begin and end where this code says so. An object may be opened by one thread
            # and used by another, never by two at once.
            self.db = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(time.monotonic() + busy_s)
        except BaseException:
            self.db.close()
            raise
        self._slots: dict[str, list[int]] = {}
        self._keyless = 0

    def _prepare(self, deadline: float) -> None:
        with self.errors():
            (application,) = self.db.execute("PRAGMA application_id").fetchone()
            (tables,) = self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application != _APPLICATION and tables:
                raise TopicsError(f"{self.path} is a database of another program: name a file of its own")
            # Two processes that open a new file at once: the switch to WAL ignores the busy timeout.
            while not self._in_wal() and time.monotonic() < deadline:
                time.sleep(_CHECK_EVERY_S)
            self.db.execute("PRAGMA synchronous=NORMAL")
            if application != _APPLICATION:
                self.db.executescript(f"PRAGMA application_id={_APPLICATION}; BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")

    def _in_wal(self) -> bool:
        try:
            return bool(self.db.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise

    @contextmanager
    def errors(self, kind: type[TopicsError] = Unreachable) -> Iterator[None]:
        """Turn SQLite's errors into ours: `kind` where waiting or freeing space may help."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise kind(f"{self.path}: {error}. {_cure(error)}") from error
        except sqlite3.DatabaseError as error:
            raise TopicsError(f"{self.path}: {error}. It is no store, or it is damaged: name another file") from error

    @contextmanager
    def transaction(self, kind: type[TopicsError] = Unreachable) -> Iterator[None]:
        """Everything inside, or nothing of it."""
        with self.errors(kind):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                self.rollback()
                raise

    def rollback(self) -> None:
        """Forget what is open, where something is."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")

    def slots(self, topic: str) -> list[int]:
        """The row ids of a topic's partitions, in their order."""
        if topic not in self._slots:
            query = "SELECT slot FROM slot WHERE topic=? ORDER BY partition"
            slots = [slot for (slot,) in self.db.execute(query, (topic,))]
            if not slots:
                raise TopicsError(f"{self.path} has no topic {topic!r}: create it first")
            self._slots[topic] = slots
        return self._slots[topic]

    def slot(self, topic: str, partition: int) -> int:
        """The row id of one partition."""
        slots = self.slots(topic)
        if not 0 <= partition < len(slots):
            raise TopicsError(f"topic {topic!r} has the partitions 0 to {len(slots) - 1}, not {partition}")
        return slots[partition]

    def append(self, outputs: Sequence[Output]) -> list[int]:
        """Write inside the open transaction; returns the offsets."""
        now = time.time_ns() // 1_000_000
        places = [self._place(output) for output in outputs]
        ends = {
            slot: self.db.execute("SELECT next FROM slot WHERE slot=?", (slot,)).fetchone()[0] for slot in set(places)
        }
        offsets = []
        for slot in places:
            offsets.append(ends[slot])
            ends[slot] += 1
        self.db.executemany(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    slot,
                    offset,
                    now if timestamp is None else timestamp,
                    key,
                    value,
                    msgspec.msgpack.encode(headers) if headers else None,
                )
                for slot, offset, (_, key, value, _, headers, timestamp) in zip(places, offsets, outputs, strict=True)
            ],
        )
        self.db.executemany("UPDATE slot SET next=? WHERE slot=?", [(end, slot) for slot, end in ends.items()])
        return offsets

    def _place(self, output: Output) -> int:
        if output.partition is not None:
            return self.slot(output.topic, output.partition)
        slots = self.slots(output.topic)
        if output.key is not None:
            return slots[partition_of(output.key, len(slots))]
        self._keyless += 1
        return slots[self._keyless % len(slots)]

    def read(self, topic: str, partition: int, offset: int, limit: int, headers: bool = False) -> Records:
        """Up to `limit` committed records from `offset` on, with their headers or without."""
        rows = self.db.execute(
            "SELECT offset, timestamp, key, value, headers FROM record"
            " WHERE slot=? AND offset>=? ORDER BY offset LIMIT ?",
            (self.slot(topic, partition), offset, limit),
        ).fetchall()
        offsets, timestamps, keys, values, packed = zip(*rows, strict=True) if rows else ((), (), (), (), ())
        columns = np.array(offsets, dtype=np.int64), np.array(timestamps, dtype=np.int64)  # [N] each
        unpacked = [msgspec.msgpack.decode(one, type=Headers) if one else () for one in packed] if headers else []
        return Records(topic, partition, *columns, list(keys), list(values), unpacked)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The offsets that a partition holds."""
        row = self.db.execute("SELECT first, next FROM slot WHERE slot=?", (self.slot(topic, partition),)).fetchone()
        return Bounds(*row)

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """The first offset whose record is not older than `time_ms`, or the end. Reads on from the start: no index."""
        query = "SELECT offset FROM record WHERE slot=? AND timestamp>=? ORDER BY offset LIMIT 1"
        row = self.db.execute(query, (self.slot(topic, partition), time_ms)).fetchone()
        return row[0] if row else self.bounds(topic, partition).end

    def check_owner(self, group: str, epoch: int) -> None:
        """Raise Fenced where a newer member owns the group."""
        owner, newest = self.db.execute("SELECT instance, epoch FROM member WHERE consumers=?", (group,)).fetchone()
        if newest != epoch:
            raise Fenced(
                f"{self.path}: group {group!r} belongs to {owner!r} now, which was started later: stop one of the two"
            )

    def version(self) -> int:
        """A number that changes when another connection commits; cheap enough to ask hundreds of times a second."""
        return int(self.db.execute("PRAGMA data_version").fetchone()[0])

    def wait(self, seen: int, deadline: float) -> bool:
        """Wait until something was committed since version `seen`; False at the deadline."""
        while self.version() == seen:
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            time.sleep(min(rest, _CHECK_EVERY_S))
        return True

    def close(self) -> None:
        """Let go; what is open is forgotten."""
        self.db.close()


def _cure(error: sqlite3.OperationalError) -> str:
    cause = error.sqlite_errorcode & 0xFF
    if cause == sqlite3.SQLITE_FULL:
        return "Free some space"
    if cause in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Another process holds a transaction open: it has to end first"
    return "Check that the folder is there and may be written to"
