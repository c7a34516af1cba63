"""What the service writes: alerts, scores and dead letters as records, all on the partition that they came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from streamae.detection.alerts import Alert
from streamae.detection.detector import Detected
from streamae.detection.readings import DeadLetter, Reason
from streamae.topics.topics import Damaged, Headers, Output, Records

LONGEST = 1_000_000  # bytes of a dead letter's key and value


class PackedScores(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one partition and transaction in one record: MessagePack, columns as little-endian bytes.

    B windows, C channels.
    """

    version: str
    channels: tuple[str, ...]
    series: list[str]  # [B]
    start: bytes  # [B] int64, ms
    end: bytes  # [B] int64, ms
    score: bytes  # [B] float64
    settled: bytes  # [B] float64
    channel_error: bytes  # [B, C] float32


def alert_output(topic: str, partition: int, alert: Alert) -> Output:
    """An alert as JSON, keyed by series."""
    return Output(topic, alert.series.encode(), msgspec.json.encode(alert), partition)


def dead_letter_outputs(topic: str, records: Records, dead: Sequence[DeadLetter]) -> list[Output]:
    """Dead letters as they came, with headers that say from where and why; the end of very long ones is cut off."""
    rows = np.searchsorted(records.offset, [letter.offset for letter in dead]).tolist()
    return [
        Output(
            topic,
            *_cut(records.key[row], records.value[row]),
            records.partition,
            (*_origin(records.topic, records.partition, letter), *_told_cut(records.key[row], records.value[row])),
        )
        for row, letter in zip(rows, dead, strict=True)
    ]


def damaged_output(topic: str, readings: str, damaged: Damaged) -> Output:
    """One dead letter, without bytes, for all records of a batch that cannot be read."""
    detail = f"offsets {damaged.first} to {damaged.next - 1} cannot be read: {damaged.why}"
    letter = DeadLetter(damaged.first, Reason.DAMAGED, detail)
    return Output(topic, None, b"", damaged.partition, _origin(readings, damaged.partition, letter))


def _origin(topic: str, partition: int, letter: DeadLetter) -> Headers:
    return (
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(letter.offset).encode()),
        ("reason", letter.reason.encode()),
        ("detail", letter.detail.encode()),
    )


def _cut(key: bytes | None, value: bytes | None) -> tuple[bytes | None, bytes | None]:
    """What every topic takes that was not set up otherwise: a record that it refused would stop the partition."""
    key = key and key[:LONGEST]
    return key, value and value[: LONGEST - len(key or b"")]


def _told_cut(key: bytes | None, value: bytes | None) -> Headers:
    length = len(key or b"") + len(value or b"")
    return (("cut_from", str(length).encode()),) if length > LONGEST else ()


def json_scores(topic: str, partition: int, detected: Detected, facts: tuple[str, tuple[str, ...]]) -> list[Output]:
    """One JSON record a window; `facts` are the version and the channels' names."""
    windows, scores = detected.windows, detected.scores
    columns = zip(
        windows.series,
        windows.start.tolist(),
        windows.end.tolist(),
        scores.score.tolist(),
        scores.settled.tolist(),
        scores.channel_error.tolist(),
        strict=True,
    )
    return [
        Output(topic, series.encode(), msgspec.json.encode(_score(facts, (series, *rest))), partition)
        for series, *rest in columns
    ]


def packed_scores(topic: str, partition: int, parts: Sequence[Detected], facts: tuple[str, tuple[str, ...]]) -> Output:
    """All windows of a partition and transaction in one record."""
    packed = PackedScores(
        version=facts[0],
        channels=facts[1],
        series=[name for part in parts for name in part.windows.series],
        start=_bytes([part.windows.start for part in parts]),
        end=_bytes([part.windows.end for part in parts]),
        score=_bytes([part.scores.score for part in parts]),
        settled=_bytes([part.scores.settled for part in parts]),
        channel_error=_bytes([part.scores.channel_error for part in parts]),
    )
    return Output(topic, None, msgspec.msgpack.encode(packed), partition)


def _score(facts: tuple[str, tuple[str, ...]], row: tuple[Any, ...]) -> dict[str, Any]:
    version, channels = facts
    series, start, end, score, settled, errors = row
    by_channel = dict(zip(channels, errors, strict=True))
    named = {"series": series, "version": version, "start": start, "end": end, "score": score, "settled": settled}
    return {**named, "channels": by_channel}


def _bytes(columns: list[Any]) -> bytes:
    joined = np.concatenate(columns)
    return joined.astype(joined.dtype.newbyteorder("<")).tobytes()
