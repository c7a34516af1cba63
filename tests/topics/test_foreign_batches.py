"""Batches that other programs write are read, whatever their codec, their headers, and what they unpack to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.kafka.foreign import CODECS, publish, publish_with_headers
from tests.topics.member import Stage, eventually, values

kafka = pytest.importorskip("kafka", reason="topics on Kafka need streamae[serve]")

from streamae.topics import kafka_batches  # noqa: E402
from streamae.topics.kafka import KafkaStore  # noqa: E402


@pytest.fixture
def stage(kafka_address: str, topic_name: Callable[[str], str]) -> Iterator[Stage]:
    """Topics on Kafka."""
    with KafkaStore(kafka_address) as store:
        yield Stage.set(store, topic_name)


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read(stage: Stage, kafka_address: str, codec: str) -> None:
    wanted = [b"reading-%d" % number * 100 for number in range(300)]
    publish(kafka_address, stage.readings, [(b"pump", value) for value in wanted], codec)
    assert stage.everything(stage.readings) == wanted


@pytest.mark.parametrize("codec", CODECS[1:])
def test_a_batch_that_would_fill_the_memory_is_not_unpacked(
    stage: Stage, kafka_address: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_batches, "LARGEST", 3_000_000)
    publish(kafka_address, stage.readings, [(b"pump", b"0" * 2_900_000)], codec)
    publish(kafka_address, stage.readings, [(b"pump", b"1" * 2_000_000)] * 2, codec)
    publish(kafka_address, stage.readings, [(b"pump", b"reading")], codec)
    member = stage.running()
    assert values(member.take(1)) == [b"0" * 2_900_000]
    (damaged,) = eventually(lambda: member.source.poll(0.1).damaged)
    assert damaged[:3] == (0, 1, 3)
    assert "bytes unpack to more than" in damaged.why
    member.source.resume(0, damaged.next)
    assert values(member.take(1)) == [b"reading"]
    member.source.close()
    member.sink.close()


def test_a_poll_brings_no_more_than_fits_however_small_the_batches_were(
    stage: Stage, kafka_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_batches, "AT_ONCE", 1_500_000)
    packed = [(b"%d" % pump, b"0" * 1_000_000) for pump in range(20)]  # on both partitions
    for record in packed:
        publish(kafka_address, stage.readings, [record], "gzip")
    member = stage.running()
    polls = []

    def all_came() -> bool:
        polls.append(values(member.source.poll(0.1).records))
        return sum(map(len, polls)) == len(packed)

    eventually(all_came)
    assert max(map(len, polls)) == 2
    member.source.close()
    member.sink.close()


def test_headers_may_have_any_name(stage: Stage, kafka_address: str) -> None:
    wanted = [(b"pump-%d" % number, b"reading-%d" % number) for number in range(3)]
    publish_with_headers(kafka_address, stage.readings, wanted)
    member = stage.running()
    (taken,) = member.take(3)
    assert list(zip(taken.key, taken.value, strict=True)) == wanted
    assert taken.offset.tolist() == [0, 1, 2]
    assert taken.timestamp.min() > 1_600_000_000_000
    member.source.close()
    member.sink.close()
