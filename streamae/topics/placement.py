"""Which partition a key lives in. Both stores and every Kafka client have to agree, or a series changes partition."""

from __future__ import annotations

from functools import lru_cache

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


@lru_cache(maxsize=1 << 16)  # series repeat, and one hash costs as much as writing three records
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner places it: murmur2, its sign dropped, modulo.

    >>> partition_of(b"pump-7", 4), partition_of(b"", 4)
    (0, 1)
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2 in 32 bits, with the seed that Kafka uses."""
    whole = len(data) & ~3
    state = _SEED ^ len(data)
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        state = (state * _MULTIPLIER & _MASK) ^ word
    if whole < len(data):
        state = (state ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    state = (state ^ state >> 13) * _MULTIPLIER & _MASK
    return state ^ state >> 15
