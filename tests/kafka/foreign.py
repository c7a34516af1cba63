"""Records as other programs write them: librdkafka's codecs, and what kafka-python would not write."""

from __future__ import annotations

from collections.abc import Sequence

import confluent_kafka
import kafka

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def publish(
    address: str, topic: str, records: Sequence[tuple[bytes | None, bytes | None]], codec: str = "none"
) -> None:
    """Write keys and values to partition 0, in one batch."""
    failed: list[object] = []
    settings = {
        "compression.type": codec,
        "linger.ms": 200,
        "batch.size": 100_000_000,
        "message.max.bytes": 100_000_000,
    }
    producer = confluent_kafka.Producer({"bootstrap.servers": address, **settings})
    for key, value in records:
        producer.produce(topic, value, key, partition=0, on_delivery=lambda error, _: failed.append(error))
    assert producer.flush(30) == 0
    assert not any(failed), failed


class NoText(str):
    """A name that is written in bytes that are none."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def publish_with_headers(address: str, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
    """Write keys and values to partition 0, each with a header whose name is no text."""
    producer = kafka.KafkaProducer(bootstrap_servers=address)
    for key, value in records:
        producer.send(topic, value, key, [("before", b"1"), (NoText("x"), b"2"), ("after", b"")], 0)
    producer.flush(30)
    producer.close()
