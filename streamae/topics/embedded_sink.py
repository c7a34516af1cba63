"""Transactions of an embedded store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from streamae.errors import TopicsError, TransactionFailed
from streamae.topics.embedded_ends import EmbeddedSource
from streamae.topics.embedded_log import Log
from streamae.topics.topics import Output, Position, check_metadata


class EmbeddedSink:
    """Results and positions, in one transaction of the file."""

    def __init__(self, log: Log, source: EmbeddedSource) -> None:
        self._log = log
        self._source = source
        self._state: Literal["ready", "begun", "failed"] = "ready"
        self.renew()

    def begin(self) -> None:
        """Begin a transaction. Raises TransactionFailed, Fenced."""
        if self._state == "begun":
            raise TopicsError("a transaction is open already: commit or renew before the next begin")
        self._check("ready")
        with self._doubt():
            self._log.check_owner(self._source.group, self._source.epoch)
        self._state = "begun"

    def send(self, outputs: Sequence[Output]) -> list[int]:
        """Write inside the transaction; returns each output's offset."""
        self._check("begun")
        if not outputs:
            return []
        with self._doubt():
            self._lock()
            return self._log.append(outputs)

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit what was sent together with the source's positions."""
        self._check("begun")
        check_metadata(positions)
        topic, group = self._source.topic, self._source.group
        rows = [(group, topic, partition, *position) for partition, position in positions.items()]
        with self._doubt():
            self._lock()
            self._log.db.executemany("INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?)", rows)
            self._log.db.execute("COMMIT")
        self._state = "ready"

    def renew(self) -> None:
        """Forget whatever is open, and be ready for `begin`. Raises Unreachable, Fenced."""
        with self._log.errors():
            self._log.rollback()
            self._log.check_owner(self._source.group, self._source.epoch)
        self._state = "ready"

    def close(self) -> None:
        """Let go; an open transaction is forgotten."""
        self._log.close()

    def _check(self, wanted: Literal["ready", "begun"]) -> None:
        if self._state != wanted:
            raise TransactionFailed(
                f"the sink of group {self._source.group!r} is {self._state}, not {wanted}: "
                "renew it, and restore from what is committed"
            )

    def _lock(self) -> None:
        """Take the file's one write lock, at the first write, and make sure that nobody took over before that."""
        if not self._log.db.in_transaction:
            self._log.db.execute("BEGIN IMMEDIATE")
            self._log.check_owner(self._source.group, self._source.epoch)

    @contextmanager
    def _doubt(self) -> Iterator[None]:
        """Whatever goes wrong inside ends this transaction, and lets the other writers of the file go on."""
        try:
            with self._log.errors(TransactionFailed):
                yield
        except BaseException:
            self._state = "failed"
            self._log.rollback()
            raise
