"""What an operator does to topics on Kafka, or time does: records go, partitions come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.serving.stand import wait_for


def delete_before(url: str, topic: str, partition: int, first: int) -> None:
    """Delete a partition's records before an offset."""
    from kafka import TopicPartition

    with _admin(url) as admin:
        admin.delete_records({TopicPartition(topic, partition): first})


def add_partitions(url: str, topic: str, count: int) -> None:
    """Give a topic so many partitions."""
    with _admin(url) as admin:
        admin.create_partitions({topic: count})


def make_again(url: str, topic: str, partitions: int) -> None:
    """Delete a topic with all its records, and make one of the same name."""
    with _admin(url) as admin:
        admin.delete_topics([topic])
        wait_for(lambda: topic not in admin.list_topics())
        admin.create_topics({topic: {"num_partitions": partitions}})


@contextmanager
def _admin(url: str) -> Iterator[Any]:
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=url.removeprefix("kafka://"))
    try:
        yield admin
    finally:
        admin.close()
