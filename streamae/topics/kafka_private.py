"""The private parts of kafka-python that guards use: each is looked for before it is needed."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import kafka.consumer.fetcher
import kafka.coordinator.consumer
import kafka.net.manager
import kafka.net.transport
import kafka.producer.sender
import kafka.producer.transaction_manager as transactions
import kafka.record.default_records
import kafka.record.memory_records

from streamae.errors import TopicsError

_RANGE = "kafka-python>=3.0.9,<3.1"


def probe() -> None:
    """Check the private parts of kafka-python that guards use. Raises TopicsError where one is missing."""
    owners: tuple[tuple[Any, tuple[str, ...]], ...] = (
        (kafka.producer.sender.Sender, ("force_close", "wakeup", "join")),
        (
            kafka.consumer.fetcher.Fetcher,
            ("_send_list_offsets_requests", "PartitionRecords", "fetched_records", "_append"),
        ),
        (kafka.coordinator.consumer.ConsumerCoordinator, ("need_rejoin",)),
        (kafka.consumer.fetcher.Fetcher.PartitionRecords, ("_unpack_records", "drain")),
        (
            kafka.net.manager.KafkaConnectionManager,
            ("_build_transport", "_connect", "reset_backoff", "update_backoff", "connection_delay"),
        ),
        (kafka.net.transport.KafkaTCPTransport, ("_sock_recv",)),
        (kafka.net.transport.KafkaSSLTransport, ("_sock_recv", "handshake", "_close")),
        (kafka.record.default_records, ("gzip_decode", "snappy_decode", "lz4_decode", "zstd_decode")),
        (kafka.record.default_records.DefaultRecordBatch, ("_read_msg", "_buffer", "_pos")),
        (kafka.record.memory_records, ("DefaultRecordBatch",)),
        (transactions.EndTxnHandler, ("is_retry",)),
        (
            transactions.TransactionManager,
            ("begin_commit", "send_offsets_to_transaction", "_enqueue_request", "has_error"),
        ),
    )
    for owner, names in owners:
        for name in names:
            if not hasattr(owner, name):
                raise missing(f"{owner.__name__}.{name}")


def private(owner: Any, name: str) -> Any:
    """A private attribute that a guard uses. Raises TopicsError where it is not there."""
    if not hasattr(owner, name):
        raise missing(f"{type(owner).__name__}.{name}")
    return getattr(owner, name)


def missing(name: str) -> TopicsError:
    """The error for a private part that is gone."""
    version = importlib.metadata.version("kafka-python")
    return TopicsError(f"kafka-python {version} has no {name}, which exactly-once needs: install `{_RANGE}`")
