"""A producer that is given up at the first doubt, and plain writes with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import kafka
import kafka.errors as faults

from streamae.errors import TopicsError, Unreachable
from streamae.topics.kafka_client import Access, asked
from streamae.topics.kafka_private import private
from streamae.topics.topics import Output


class Producer:
    """One kafka-python producer, used until the first doubt and never again after it."""

    def __init__(self, access: Access, **settings: Any) -> None:
        timing = access.timing
        self.delivery_s = (timing.delivery + 1_000) / 1000
        self._kafka = access.connect(
            kafka.KafkaProducer,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=0,  # every caller here flushes by itself
            delivery_timeout_ms=timing.delivery,
            request_timeout_ms=timing.request,
            max_block_ms=timing.delivery,
            allow_auto_create_topics=False,
            **settings,
        )
        self.sender = private(self._kafka, "_sender")
        self._keep_requests(timing.retry / 1000)

    def _keep_requests(self, pause_s: float) -> None:
        """Have a step of a transaction wait for its coordinator's node."""
        # kafka-python drops the request where the node cannot be connected to just then: nobody ever answers it. Where
        # it is only told that the node is not ready, it looks for the coordinator again, at once, and tries on.
        client = private(self.sender, "_client")
        stock = private(client, "await_ready")

        def await_ready(node: Any, **waiting: Any) -> bool:
            try:
                return bool(stock(node, **waiting))
            except faults.KafkaError:
                time.sleep(pause_s)
                return False

        client.await_ready = await_ready

    @property
    def stock(self) -> Any:
        """The producer of kafka-python."""
        return self._kafka

    def send(self, outputs: Sequence[Output]) -> list[int]:
        """Write, wait until every record is acknowledged, and return their offsets. Raises KafkaError, ValueError."""
        # kafka-python refuses records of nothing, which other producers can write, and which then are dead letters.
        futures = [
            self._kafka.send(
                topic, b"" if key is None and value is None else value, key, list(headers), partition, timestamp
            )
            for topic, key, value, partition, headers, timestamp in outputs
        ]
        self._kafka.flush(self.delivery_s)
        # Every future is asked: a batch that expired fails its futures only, and the commit after it would succeed and
        # leave offsets committed whose records are absent.
        return [int(future.get(self.delivery_s).offset) for future in futures]

    def close(self) -> None:
        """Stop at once: what was not delivered belongs to a transaction that is given up."""
        # A plain close waits for batches that cannot be delivered, raises, and leaves its thread and sockets behind.
        self.sender.force_close()
        self.sender.join(5)
        with suppress(faults.KafkaError):
            self._kafka.close(timeout=0)


class KafkaWriter:
    """A plain producer: at least once."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._producer: Producer | None = Producer(access)

    def write(self, outputs: Sequence[Output]) -> None:
        """Write and wait until all are acknowledged. Raises Unreachable, TopicsError."""
        self._producer = self._producer or Producer(self._access)
        try:
            with asked("writing"):
                self._producer.send(outputs)
        except ValueError as error:
            raise TopicsError(f"writing: {error}") from error
        except Unreachable:
            self.close()
            raise

    def close(self) -> None:
        """Stop writing."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.close()
