"""Transactions on Kafka that carry the source's positions."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

import kafka.errors as faults
from kafka import TopicPartition
from kafka.producer.transaction_manager import EndTxnHandler
from kafka.structs import OffsetAndMetadata

from streamae.errors import Fenced, TopicsError, TransactionFailed, Unreachable
from streamae.topics.kafka_client import Access, asked, forbidden
from streamae.topics.kafka_private import private
from streamae.topics.kafka_producer import Producer
from streamae.topics.kafka_source import KafkaSource
from streamae.topics.topics import Output, Position, check_metadata

log = logging.getLogger(__name__)

PATIENT_S = 3.0  # that a step of a transaction may take without a word


class KafkaSink:
    """Results and positions of one member of a group, in transactions."""

    def __init__(self, access: Access, source: KafkaSource, instance: str) -> None:
        self._access = access
        self._source = source
        self._name = f"{source.group}-{instance}"
        self._producer: Producer | None = None
        self._state: Literal["ready", "begun", "failed"] = "failed"
        self._late_end = False  # a second copy of a commit is on its way, see `_watch_ends`
        self.renew()

    def begin(self) -> None:
        """Begin a transaction. Raises TransactionFailed, Fenced."""
        if self._state == "begun":
            raise TopicsError("a transaction is open already: commit or renew before the next begin")
        self._check("ready")
        with self._doubt("beginning"):
            if self._late_end:
                self.renew()
            self._stock.begin_transaction()
        self._state = "begun"

    def send(self, outputs: Sequence[Output]) -> list[int]:
        """Write inside the transaction; returns each output's offset once all are acknowledged."""
        self._check("begun")
        with self._doubt("writing"):
            return self._open.send(outputs)

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit what was sent together with the source's positions."""
        self._check("begun")
        # A checkpoint that is too long is fatal for the producer: refused before it is touched.
        check_metadata(positions)
        with self._doubt("committing"):
            if positions:
                self._send_positions(positions)
            self._wait(self._manager.begin_commit())
        self._state = "ready"

    def _send_positions(self, positions: Mapping[int, Position]) -> None:
        membership = self._source.membership
        if membership is None or membership.generation_id < 0:
            # The broker takes a generation of -1 from anyone, unchecked: two owners would overwrite each other.
            raise faults.CommitFailedError("this member is not in its group now")
        offsets = {
            TopicPartition(self._source.topic, partition): OffsetAndMetadata(position.offset, position.metadata, -1)
            for partition, position in positions.items()
        }
        self._wait(self._manager.send_offsets_to_transaction(offsets, membership))

    def _wait(self, result: Any) -> None:
        """Wait for a transaction's step, within a bound: the public calls of kafka-python wait for ever."""
        self._open.sender.wakeup()
        if not result.wait(self._access.timing.transaction):
            raise faults.KafkaTimeoutError(f"no answer within {self._access.timing.transaction} ms")

    def renew(self) -> None:
        """Resolve whatever is open, and be ready for `begin`. Raises Unreachable, Fenced."""
        # A producer is never used after a failure: the offsets of its aborted transaction leak into the next one, and
        # an epoch that was raised in the middle of a transaction leaves one on which every call raises. A new one of
        # the same name resolves the old transaction, whatever became of it, and shuts the old one out.
        self._drop()
        timing = self._access.timing
        self._producer = Producer(
            self._access,
            transactional_id=self._name,
            transaction_timeout_ms=timing.transaction,
        )
        try:
            with asked(f"starting transactions as {self._name}"):
                self._watch_ends()
                self._stock.init_transactions()  # waits for max_block_ms at most
        except BaseException:
            self._drop()
            raise
        self._state = "ready"

    def _watch_ends(self) -> None:
        """Notice when kafka-python asks for the same commit twice."""
        # A connection that breaks during the request for the end of a transaction is answered by sending it again,
        # silently. The first copy may arrive late, and would then commit the next transaction half-written. Against a
        # new producer's epoch it is refused.
        self._late_end = False
        enqueue = private(self._manager, "_enqueue_request")

        def watched(request: Any) -> None:
            if isinstance(request, EndTxnHandler) and request.is_retry:
                self._late_end = True
            enqueue(request)

        self._manager._enqueue_request = watched

    @property
    def _open(self) -> Producer:
        if self._producer is None:
            raise TransactionFailed(f"{self._name} has no producer: renew first")
        return self._producer

    @property
    def _stock(self) -> Any:
        return self._open.stock

    @property
    def _manager(self) -> Any:
        return private(self._stock, "_transaction_manager")

    def _check(self, wanted: Literal["ready", "begun"]) -> None:
        if self._state != wanted:
            raise TransactionFailed(
                f"{self._name} is {self._state}, not {wanted}: renew it, and restore from what is committed"
            )

    @contextmanager
    def _doubt(self, doing: str) -> Iterator[None]:
        """Whatever goes wrong inside says nothing about the outcome: this producer is over."""
        began = time.monotonic()
        try:
            yield
        except BaseException as error:
            self._state = "failed"
            self._drop()
            raise self._verdict(error, doing) from error
        if (took_s := time.monotonic() - began) > PATIENT_S:
            log.warning("%s as %s took %.1f s: a broker was away, or slow", doing, self._name, took_s)

    def _verdict(self, error: BaseException, doing: str) -> BaseException:
        if isinstance(error, Unreachable):
            return TransactionFailed(f"{doing} as {self._name}: {error}")
        if not isinstance(error, (faults.KafkaError, ValueError)):
            return error
        if isinstance(error, (faults.ProducerFencedError, faults.FencedInstanceIdError)) or _names(
            error, "ProducerFenced", "FencedInstanceId", "UnknownMemberId"
        ):
            return Fenced(f"{doing} as {self._name}: another process has taken over ({error})")
        if isinstance(error, faults.AuthorizationError):
            return TransactionFailed(f"{doing} as {self._name}: {forbidden(error)}")
        return TransactionFailed(f"{doing} as {self._name}: {error!r}. Renew, and restore from what is committed")

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()

    def close(self) -> None:
        """Let go; an open transaction is aborted by the broker, or by the next producer of this name."""
        self._state = "failed"
        with suppress(Exception):
            self._drop()


def _names(error: BaseException, *names: str) -> bool:
    """Whether a failure is another one's wrapping: kafka-python keeps the cause in the text only."""
    return any(name in repr(error) for name in names)
