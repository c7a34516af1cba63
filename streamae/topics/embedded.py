"""Topics in one SQLite file: the demo, the edge box without a broker, and fast tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import msgspec

from streamae.errors import TopicsError
from streamae.topics.embedded_ends import EmbeddedReader, EmbeddedSource, EmbeddedWriter
from streamae.topics.embedded_log import Log
from streamae.topics.embedded_sink import EmbeddedSink
from streamae.topics.topics import Sink, Source, Standing, TopicSpec


class _Closable(Protocol):
    def close(self) -> None: ...


class EmbeddedStore:
    """Topics in one file, for any number of processes on one machine.

    A group has one worker, which owns all partitions; whoever was started last is it, and the one before is fenced at
    its next call. A transaction holds the file's one write lock from its first `send` to its end, so keep it short:
    other writers wait up to `busy_s` for it, then raise. Topic settings are kept as given, but nothing acts on them:
    `retention.ms` deletes nothing and `cleanup.policy` compacts nothing; `trim` deletes. What is committed survives
    the process at once; after a loss of power, the last moments may be missing, whole transactions at a time.
    """

    def __init__(self, path: Path | str, busy_s: float = 5.0) -> None:
        self.path = Path(path)
        self._busy_s = busy_s
        self._opened: list[_Closable] = []
        self._log = self._open()

    def _open(self) -> Log:
        log = Log(self.path, self._busy_s)
        self._opened.append(log)
        return log

    def source(self, topic: str, group: str, instance: str) -> EmbeddedSource:
        """Take over `group` as its one worker."""
        return EmbeddedSource(self._open(), topic, group, instance)

    def sink(self, source: Source, group: str, instance: str) -> Sink:
        """The sink of that worker."""
        if not isinstance(source, EmbeddedSource):
            raise TypeError("the sink of an embedded store takes a source of an embedded store")
        return EmbeddedSink(self._open(), source)

    def reader(self, topic: str, start: Literal["earliest", "latest"] | int) -> EmbeddedReader:
        """Subscribe from the start, the end, or a time in ms since the epoch."""
        return EmbeddedReader(self._open(), topic, start)

    def writer(self) -> EmbeddedWriter:
        """A plain producer."""
        return EmbeddedWriter(self._open())

    def describe(self, names: Sequence[str]) -> dict[str, TopicSpec | None]:
        """Each topic as it was created; None where there is none."""
        found: dict[str, TopicSpec | None] = dict.fromkeys(names)
        with self._log.errors():
            for name in found:
                query = "SELECT partitions, settings FROM topic WHERE name=?"
                row = self._log.db.execute(query, (name,)).fetchone()
                if row:
                    found[name] = TopicSpec(name, row[0], msgspec.json.decode(row[1], type=dict[str, str]))
        return found

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is not there yet; what is there stays as it is."""
        with self._log.transaction():
            for name, partitions, settings in specs:
                if partitions < 1:
                    raise TopicsError(f"topic {name!r} needs at least one partition, not {partitions}")
                kept = msgspec.json.encode(dict(settings)).decode()
                insert = "INSERT OR IGNORE INTO topic VALUES (?, ?, ?)"
                if self._log.db.execute(insert, (name, partitions, kept)).rowcount:
                    slots = [(name, partition) for partition in range(partitions)]
                    self._log.db.executemany("INSERT INTO slot (topic, partition) VALUES (?, ?)", slots)

    def trim(self, topic: str, partition: int, first: int) -> None:
        """Delete the records of a partition before offset `first`."""
        with self._log.transaction():
            slot = self._log.slot(topic, partition)
            first = min(first, self._log.bounds(topic, partition).end)
            self._log.db.execute("DELETE FROM record WHERE slot=? AND offset<?", (slot, first))
            self._log.db.execute("UPDATE slot SET first=max(first, ?) WHERE slot=?", (first, slot))

    def standing(self, names: Sequence[str]) -> dict[str, Standing]:
        """None: topics in a file have neither replicas nor permissions."""
        return {}

    def obstacles(self, group: str, instance: str) -> list[str]:
        """None."""
        return []

    def about(self) -> str:
        """One line for people."""
        return f"embedded store {self.path} (SQLite {sqlite3.sqlite_version})"

    def close(self) -> None:
        """Let go of everything opened here."""
        for end in self._opened:
            end.close()
        self._opened.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
