"""Records that cannot be read, on a real broker: they hold their partition or are left out, and the others go on."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

from streamae.serving import holds, loop
from streamae.topics import kafka_batches
from tests.graphs import tiny_artifact
from tests.kafka.broker import Broker
from tests.serving.failing import Fault, failing
from tests.serving.outcome import Outcome
from tests.serving.stand import CALM, HOT, Stand, at, reading, wait_for
from tests.topics.member import drain

HELD = "[0]@20 is held: records cannot be read (CorruptRecordError"
BATCH = 10  # readings
COUNT = 23  # where a batch says how many records it holds


@pytest.fixture(scope="module")
def broker(kafka_address: str) -> Iterator[Broker]:
    """Skipped where none can be started; one of its own, for its files are damaged."""
    with Broker() as made:
        yield made


@pytest.fixture
def stand(broker: Broker, tmp_path: Path, topic_name: Callable[[str], str]) -> Iterator[Stand]:
    """In each of two partitions a pump that overheats, in batches of ten readings."""
    made = Stand(f"kafka://{broker.address}", topic_name("plant"), tmp_path, partitions=2)
    made.champion()
    with KafkaProducer(bootstrap_servers=broker.address, compression_type="lz4", linger_ms=60_000) as producer:
        for first in range(0, 60, BATCH):
            for tick in range(first, first + BATCH):
                value = reading(tick, HOT if 35 <= tick < 45 else CALM)
                for partition, name in enumerate((b"left", b"right")):
                    producer.send(made.config.topics.readings, value, name, partition=partition, timestamp_ms=at(tick))
            producer.flush()
    made.published += 120
    yield made
    made.close()


def damage(broker: Broker, stand: Stand, batch: int = 20, byte: int = 80) -> None:
    """Flip a bit in a batch of the first partition, by its first offset, on the disk; a second time mends it."""
    (segment,) = broker.folder.glob(f"data/{stand.config.topics.readings}-0/*.log")
    with segment.open("r+b") as file:
        content, place = file.read(), 0
        while (header := struct.unpack_from(">qi", content, place))[0] != batch:
            place += 12 + header[1]
        file.seek(place + byte)
        file.write(bytes([content[place + byte] ^ 1]))


def test_a_damaged_batch_holds_its_partition_until_it_is_mended(
    stand: Stand, broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(holds, "HOLD_S", 0.5)
    damage(broker, stand)
    with stand.running() as service:
        wait_for(lambda: service().committed == {0: 20, 1: 60})
        wait_for(lambda: HELD in caplog.text)
        assert service().health()["partitions"] == {"running": 2, "restoring": 0, "held": 1}
        damage(broker, stand)
        wait_for(lambda: service().committed == {0: 60, 1: 60})
    assert "[0] goes on" in caplog.text
    assert caplog.text.count(" is held: ") == 1
    undisturbed = stand.twin()
    undisturbed.serve_all()
    assert Outcome.of(stand).equals(Outcome.of(undisturbed))
    undisturbed.close()


def test_a_hold_does_not_outlast_the_transaction_that_failed_meanwhile(
    stand: Stand, broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be released into the restore, and what the windows hold would not be read again."""
    monkeypatch.setattr(holds, "HOLD_S", 1.0)
    monkeypatch.setattr(loop, "PAUSE_S", 1.5)  # before a connection that is away is tried again
    fails, met = threading.Event(), list[Fault]()
    stand.open = failing(iter(lambda: "renew" if fails.is_set() and not met else "none", None), met)
    damage(broker, stand)
    with stand.running() as service:
        wait_for(lambda: service().committed == {0: 20, 1: 60})
        wait_for(lambda: HELD in caplog.text)
        damage(broker, stand)
        fails.set()
        stand.publish([("right", tick, CALM) for tick in range(60, 70)], 1)
        wait_for(lambda: service().committed == {0: 60, 1: 70})
    assert met == ["renew"]
    undisturbed = stand.twin(open=Stand.open)
    undisturbed.serve_all()
    assert Outcome.of(stand).equals(Outcome.of(undisturbed))
    undisturbed.close()


def test_a_damaged_batch_is_left_out_where_the_operator_says_so_and_is_one_dead_letter(
    stand: Stand, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    stand.changes = {"serving": {"damaged": "skip"}}
    damage(broker, stand)
    stand.serve_all()
    assert "[0]: offsets 20 to 29 cannot be read, left out: CorruptRecordError" in caplog.text
    assert [alert.series for alert in stand.alerts()] == ["left", "left", "right", "right"]
    (letter,) = headers(stand)
    assert letter["offset"] == b"20"
    assert letter["reason"] == b"damaged"
    assert letter["detail"].startswith(b"offsets 20 to 29 cannot be read: CorruptRecordError")


def test_a_damaged_header_that_tells_of_too_many_records_takes_no_others_with_it(stand: Stand, broker: Broker) -> None:
    stand.changes = {"serving": {"damaged": "skip"}}
    damage(broker, stand, batch=50, byte=COUNT)
    with stand.running() as service:
        wait_for(lambda: service().committed == {0: 60, 1: 60})
        stand.publish([("left", tick, CALM) for tick in range(60, 70)], 0)
        wait_for(lambda: service().committed == {0: 70, 1: 60})
    (letter,) = headers(stand)
    assert letter["detail"].startswith(b"offsets 50 to 59 cannot be read: CorruptRecordError")
    assert len([row for row in stand.scores() if row[1] == "left" and row[2] >= at(60)]) == 3


def test_a_damaged_batch_in_the_windows_is_left_out_once_more_at_a_restart(stand: Stand, broker: Broker) -> None:
    stand.changes = {"serving": {"damaged": "skip"}, "windows": {"length": 48, "stride": 2}}
    stand.champion(tiny_artifact(length=48))
    damage(broker, stand)
    stand.serve_all()
    before = Outcome.of(stand)
    with stand.running() as service:
        wait_for(lambda: service().health()["partitions"]["running"] == 2)
        stand.publish([("left", tick, CALM) for tick in range(60, 70)], 0)
        wait_for(lambda: service().committed.get(0) == 70)
    assert len(headers(stand)) == 1
    assert before.kinds["scores"].items() <= Outcome.of(stand).kinds["scores"].items()


def test_a_batch_that_would_fill_the_memory_is_not_unpacked(
    stand: Stand, broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kafka_batches, "LARGEST", 2**20)
    stand.changes = {"serving": {"damaged": "skip"}}
    for codec in ("gzip", "lz4", "zstd", "snappy"):
        with KafkaProducer(
            bootstrap_servers=broker.address, compression_type=codec, max_request_size=2**23, linger_ms=0
        ) as producer:
            producer.send(stand.config.topics.readings, bytes(2**21), b"right", partition=1).get(10)
    stand.publish([("right", tick, CALM) for tick in range(60, 70)], 1)
    stand.published += 4
    stand.serve_all()
    assert caplog.text.count("bytes unpack to more than 1 MiB") == 4
    assert [letter["offset"] for letter in headers(stand)] == [b"60", b"61", b"62", b"63"]


def headers(stand: Stand) -> list[dict[str, bytes]]:
    """What each dead letter says of where it is from."""
    reader = stand.store.reader(stand.config.topic("deadletters"), "earliest")
    try:
        return [dict(letter) for records in drain(reader) for letter in records.headers]
    finally:
        reader.close()
