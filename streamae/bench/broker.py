"""The broker's side of the bench, through librdkafka: topics that come and go, a full one, and reading it alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition, libversion
from confluent_kafka.admin import AdminClient

from streamae.errors import ConfigError, TopicsError

PARTITIONS = 4
BATCH = 2_000  # records that librdkafka hands out at once
PATIENCE_S = 60.0
SESSION_S = 20.0  # after which a member of a group that has left is forgotten, with some slack

Record = tuple[int, bytes, bytes, int]  # number of its series, key, value, ms since the epoch


class Broker:
    """Where the load lies. Everything that is made there is removed by whoever made it."""

    def __init__(self, store: str) -> None:
        scheme, _, place = store.partition("://")
        if scheme != "kafka" or not place.strip("/"):
            raise ConfigError(f"--store is {store!r}: the bench measures on Kafka, give kafka://host:port")
        self._client = {"bootstrap.servers": place.rstrip("/"), "log_level": 2}

    def write(self, topic: str, records: Iterable[Record]) -> int:
        """Write all records, a series in one partition; returns the mean of their sizes in bytes."""
        settings = {"compression.type": "lz4", "linger.ms": 20, "enable.idempotence": True}  # a retry doubles nothing
        producer = Producer({**self._client, **settings})
        failed: list[str] = []
        count = size = 0

        def delivered(error: Any, message: Any) -> None:
            if error is not None:
                failed.append(str(error))

        for number, key, value, at in records:
            for _ in range(int(PATIENCE_S)):
                with suppress(BufferError):
                    producer.produce(topic, value, key, number % PARTITIONS, timestamp=at, on_delivery=delivered)
                    break
                producer.poll(1.0)
            count, size = count + 1, size + len(value)
        left = producer.flush(PATIENCE_S)
        if left or failed:
            raise TopicsError(f"{topic}: {left + len(failed)} of {count} records were not written: {failed[:1]}")
        return round(size / max(count, 1))

    def consume_us(self, topic: str, readings: int) -> float:
        """CPU us a record, all threads of librdkafka among them, for reading the whole topic and doing nothing."""
        consumer = Consumer({**self._client, "group.id": topic, "enable.auto.commit": False})
        try:
            consumer.list_topics(topic, timeout=PATIENCE_S)  # connected before the clock starts
            began, until, count = time.process_time(), time.monotonic() + PATIENCE_S, 0
            consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
            while count < readings:
                count += sum(message.error() is None for message in consumer.consume(BATCH, 0.5))
                if time.monotonic() > until:
                    raise TopicsError(f"{topic}: librdkafka read {count} of {readings} records in {PATIENCE_S:g} s")
            return (time.process_time() - began) / readings * 1e6
        finally:
            consumer.close()

    def remove(self, topics: Sequence[str], groups: Sequence[str] = ()) -> None:
        """Delete topics and groups; what is not there is no matter. Groups wait for the session of their members."""
        admin = AdminClient(self._client)
        until = time.monotonic() + SESSION_S
        for answer in admin.delete_topics(list(topics), request_timeout=15).values():
            with suppress(KafkaException):
                answer.result(20)
        left = list(groups)
        while left and time.monotonic() < until:
            asked = admin.delete_consumer_groups(left, request_timeout=15)
            left = [group for group, answer in asked.items() if _is_there(answer)]
            time.sleep(0.2 if left else 0)


def _is_there(answer: Any) -> bool:
    """Whether a group could not be deleted, for one because a member's session has not ended yet."""
    try:
        answer.result(20)
    except KafkaException as error:
        return bool(error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND)
    return False


def librdkafka() -> str:
    """Its version."""
    return str(libversion()[0])
