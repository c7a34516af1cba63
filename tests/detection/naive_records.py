"""The slow, obvious twin of JSON decoding: one record at a time, walked by hand.

A record may have several faults; which of them is named first is nobody's concern, so the twin gives all of them.
"""

from __future__ import annotations

import fnmatch
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from streamae.detection.manifest import Channel
from streamae.detection.readings import Mapping, Reason, parse_path

Row = tuple[str, int, tuple[float, ...]]  # series, time, float32 values less the origin
MS = {"s": 1000.0, "ms": 1, "us": 1 / 1000, "ns": 1 / 1_000_000}
WRONG = object()


def decode(mapping: Mapping, channels: Sequence[Channel], key: bytes | None, value: bytes) -> Row | set[Reason] | None:
    """A reading, the faults of the record, or None where it is none of ours."""
    record = json.loads(value)
    if not isinstance(record, dict):
        return {Reason.WRONG_TYPE}
    series = name_of(key if mapping.series_from == "key" else find(record, mapping.series_from))
    time, time_faults = time_of(find(record, mapping.time), mapping.time_unit)
    values, value_faults = values_of(record, mapping, channels)
    faults = time_faults | value_faults
    if series is WRONG:
        faults.add(Reason.WRONG_TYPE)
    elif not 1 <= len(series) <= 1000:
        faults.add(Reason.NO_SERIES)
    named = not faults & {Reason.WRONG_TYPE, Reason.NO_SERIES}
    if named and not fnmatch.fnmatchcase(series, mapping.series):
        return None
    return faults or (None if values is None else (series, time, values))


def find(record: Any, path: str) -> Any:
    """What lies at a path; None where there is nothing."""
    for key in parse_path(path):
        if record is None:
            return None
        if not isinstance(record, dict):
            return WRONG
        record = record.get(key)
    return record


def name_of(raw: Any) -> Any:
    if isinstance(raw, bytes):
        return raw.decode(errors="ignore") if raw.decode(errors="replace").encode() == raw else ""
    if raw is None:
        return ""
    return str(raw) if isinstance(raw, str | int) and not isinstance(raw, bool) else WRONG


def time_of(raw: Any, unit: str) -> tuple[int, set[Reason]]:
    if raw is None:
        return 0, {Reason.NO_TIME}
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return 0, {Reason.WRONG_TYPE}
    sane = -1e25 < raw < 1e25
    ms = raw * MS[unit] if sane else -1.0
    whole = raw * 1000 if unit == "s" else raw // round(1 / MS[unit]) if sane else -1
    if not 0 <= ms < 253_402_300_800_000 or (unit == "ns" and raw >= 2**62):
        return 0, {Reason.NO_TIME}
    return round(whole), set()


def values_of(record: Any, mapping: Mapping, channels: Sequence[Channel]) -> tuple[Any, set[Reason]]:
    """One number a channel, or None where the record tells of a channel that nobody asked for."""
    if mapping.layout == "wide":
        found = [find(record, mapping.channels[channel.name]) for channel in channels]
        return numbers(found, channels)
    tag, value = name_of(find(record, mapping.channel)), find(record, mapping.value)
    tags = [mapping.channels[channel.name] for channel in channels]
    found = [value if one == tag else None for one in tags]
    _, faults = numbers([value], channels[:1])
    if tag is WRONG or Reason.WRONG_TYPE in faults:
        return None, {Reason.WRONG_TYPE}
    if tag not in tags:
        return None, {Reason.UNKNOWN_CHANNEL} if mapping.strict else set()
    return numbers(found, channels)


def numbers(found: Sequence[Any], channels: Sequence[Channel]) -> tuple[tuple[float, ...], set[Reason]]:
    values, faults = [], set()
    for raw, channel in zip(found, channels, strict=True):
        if raw is not None and (isinstance(raw, bool) or not isinstance(raw, int | float)):
            faults.add(Reason.WRONG_TYPE)
            continue
        if isinstance(raw, int) and abs(raw) > 10**300:
            faults |= {Reason.WRONG_TYPE, Reason.INFINITE}
            continue
        with np.errstate(over="ignore"):
            value = float(np.float32((math.nan if raw is None else float(raw)) - channel.origin))
        values.append(value)
        if math.isinf(value):
            faults.add(Reason.INFINITE)
    return tuple(values), faults
