"""Batches as brokers keep them: where one cannot be read, it says which records that are, and the others are read on.

A batch cannot be read where its checksum is wrong, where its records do not follow the format, or where it unpacks to
more than LARGEST bytes: some kB on a topic can be made to fill the memory of everyone who reads it. The broker checks
a batch's frame and its sum; what it unpacks to, and the names of headers, are the producer's alone.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import kafka.errors as faults
import kafka.record.default_records as unpacking
import kafka.record.memory_records
import lz4.frame
import zstandard
from kafka.consumer.fetcher import Fetcher
from kafka.record.util import decode_varint

from streamae.topics.topics import Damaged

LARGEST = 128 * 2**20  # bytes of one batch, unpacked; brokers take batches of 1 MiB unless they are told otherwise
AT_ONCE = 32 * 2**20  # bytes of records that one poll brings, and the rest of one record

DAMAGED = "The broker's copy is damaged: have another replica lead this partition"


class DamagedBatch(Exception):
    """Raised where records cannot be read."""

    def __init__(self, records: Damaged) -> None:
        super().__init__(f"offsets {records.first} to {records.next - 1}: {records.why}")
        self.records = records


class _Watched:
    """The batches of a fetch; remembers the last one that was asked for, and can look one ahead."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._ahead: Any = None
        self.last: Any = None

    def next_batch(self) -> Any:
        self.last, self._ahead = self._ahead or self._batches.next_batch(), None
        return self.last

    def peek(self) -> Any:
        """The batch after it; None where there is none, or none that can be told."""
        with suppress(faults.KafkaError):
            self._ahead = self._batches.next_batch()
        return self._ahead


class _Bounded:
    """Records one after another, as far as there is room; with more room, they go on."""

    def __init__(self, records: Iterator[Any]) -> None:
        self._records = records
        self.room = AT_ONCE

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.room <= 0:
            raise StopIteration
        record = next(self._records)
        sizes = record.serialized_key_size, record.serialized_value_size, record.serialized_header_size
        self.room -= sum(size for size in sizes if size > 0)  # -1: there is none
        return record


class Batches(Fetcher.PartitionRecords):  # type: ignore[misc]
    """The records in what a fetch brought of one partition."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.bounded = _Bounded(self.record_iterator)
        self.record_iterator: Any = self.bounded

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
        watched = _Watched(records)
        while True:
            try:
                yield from super()._unpack_records(tp, watched, *deserializers)
                return
            except Exception as error:  # of damaged bytes, codecs may raise anything
                first, following = self.next_fetch_offset, watched.peek()
                if following is not None and following.base_offset <= first:
                    continue  # by its damaged header it reaches to where this fetch begins, and so it was sent, too
                # kafka-python keeps what it cannot unpack, and the next poll would spin on it without end.
                self.drain()
                end = following.base_offset if following else getattr(watched.last, "next_offset", 0)
                why = f"{type(error).__name__}: {error}"
                raise DamagedBatch(Damaged(tp.partition, first, max(end, first + 1), why)) from error


class _Batch(unpacking.DefaultRecordBatch):  # type: ignore[misc]
    """A batch whose headers may have any name: the broker does not look at them, and no reading needs them."""

    _pos: int
    _buffer: bytearray

    def _read_msg(self, decode_varint: Callable[..., Any] = decode_varint) -> Any:
        before = self._pos
        try:
            return super()._read_msg(decode_varint)
        except UnicodeDecodeError:
            self._pos = before
            return self._without_headers()

    def _without_headers(self) -> Any:
        """The record at hand, but for its headers."""
        length, pos = decode_varint(self._buffer, self._pos)
        end = pos + length
        _, pos = decode_varint(self._buffer, pos)  # attributes
        later, pos = decode_varint(self._buffer, pos)
        beyond, pos = decode_varint(self._buffer, pos)
        key, pos = self._bytes(pos)
        value, _ = self._bytes(pos)
        appended = self.timestamp_type == self.LOG_APPEND_TIME
        timestamp = self.max_timestamp if appended else self.first_timestamp + later
        self._pos = end
        return unpacking.DefaultRecord(
            length, self.base_offset + beyond, timestamp, self.timestamp_type, key, value, []
        )

    def _bytes(self, pos: int) -> tuple[bytes | None, int]:
        length, pos = decode_varint(self._buffer, pos)
        return (None, pos) if length < 0 else (bytes(self._buffer[pos : pos + length]), pos + length)


def _bounded(unpack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def checked(packed: bytes) -> bytes:
        unpacked = unpack(packed)
        if len(unpacked) > LARGEST:
            raise faults.CorruptRecordError(f"{len(packed)} bytes unpack to more than {LARGEST // 2**20} MiB")
        return unpacked

    return checked


def _gzip(packed: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        return file.read(LARGEST + 1)


def _lz4(packed: bytes) -> bytes:
    unpacker = lz4.frame.LZ4FrameDecompressor()
    unpacked: bytes = unpacker.decompress(packed, max_length=LARGEST + 1)
    if not unpacker.eof and len(unpacked) <= LARGEST:
        raise faults.CorruptRecordError("the compressed records end too early")
    return unpacked


def _zstd(packed: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed), read_across_frames=True) as file:
        return file.read(LARGEST + 1)


# kafka-python unpacks without a bound. Snappy packs a thirtieth at the most, so its result is looked at only.
unpacking.gzip_decode, unpacking.lz4_decode, unpacking.zstd_decode = map(_bounded, (_gzip, _lz4, _zstd))
unpacking.snappy_decode = _bounded(unpacking.snappy_decode)
kafka.record.memory_records.DefaultRecordBatch = _Batch
