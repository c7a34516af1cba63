"""What an operator does to topics on Kafka, or time does: records go, partitions come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def delete_before(url: str, topic: str, partition: int, first: int) -> None:
    """Delete a partition's records before an offset."""
    from kafka import TopicPartition

    with _admin(url) as admin:
        admin.delete_records({TopicPartition(topic, partition): first})


def add_partitions(url: str, topic: str, count: int) -> None:
    """Give a topic so many partitions."""
    with _admin(url) as admin:
        admin.create_partitions({topic: count})


@contextmanager
def _admin(url: str) -> Iterator[Any]:
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=url.removeprefix("kafka://"))
    try:
        yield admin
    finally:
        admin.close()
