"""JSON records -> readings, through a struct built from the user's mapping, so that msgspec does the work.

Rows that turn out to be no readings are crossed out column by column; each has one reason, the first that was found.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamae.detection.derived import completed
from streamae.detection.json_rows import row_type
from streamae.detection.manifest import Channel
from streamae.detection.readings import DeadLetter, Decoded, Mapping, Readings, Reason, RecordColumns

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_TIME = 253_402_300_800_000  # the year 10000 in ms: beyond it a time is a mistake of unit
FAR = 2**62  # beyond it no epoch time makes sense in any unit
LONGEST_NAME = 1000  # characters of a series' name
LONGEST_DETAIL = 300  # characters of what is said about a dead letter
TO_MS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "s": lambda time: np.round(time * 1000.0),
    "ms": np.floor,
    "us": lambda time: time // 1000,
    "ns": lambda time: time // 1_000_000,
}


class JsonDecoder:
    """Makes readings from JSON records, through a struct built from the mapping (so that msgspec does the work)."""

    def __init__(self, mapping: Mapping, channels: Sequence[Channel]) -> None:
        self.mapping = mapping
        self._origin = np.array([channel.origin for channel in channels], np.float64)  # [C]
        self._names = [channel.name for channel in channels]
        measured = [channel.name for channel in channels if not channel.derived]
        self._measured = len(measured)
        wanted = {"time": mapping.time}
        if mapping.series_from != "key":
            wanted["series"] = mapping.series_from
        if mapping.layout == "tall":
            wanted |= {"channel": mapping.channel, "value": mapping.value}
            self._tags = {mapping.channels[name]: at for at, name in enumerate(measured)}
        else:
            wanted |= {f"channel {at}": mapping.channels[name] for at, name in enumerate(measured)}
        others = mapping.channels.values() if mapping.layout == "wide" else ()
        self._row, self._get = row_type(wanted, list(others), mapping)
        self._decoder = msgspec.json.Decoder(self._row)

    def decode(self, records: RecordColumns) -> Decoded:
        """Readings and dead letters of a batch; both in offset order."""
        dead: list[DeadLetter] = []
        rows, at = self._parse(records, dead)
        kept = np.array(at, np.int64)  # [N] which record each row came from
        offset = records.offset[kept]
        columns = _Columns(len(rows), offset, dead)
        names = columns.names(self._series(records, rows, at))
        columns.skip(~self._wanted(names))
        time = columns.times(list(map(self._get["time"], rows)), self.mapping.time_unit)
        columns.check_ahead(time, records.timestamp[kept], self.mapping.max_ahead_ms)
        values = completed(self._names, time, self._values(rows, columns))
        with np.errstate(over="ignore"):
            narrow = (values - self._origin).astype(np.float32)
        infinite = np.asarray(np.isinf(narrow).any(axis=1))
        columns.refuse(infinite, Reason.INFINITE, "a value is infinite or beyond float32")
        good = columns.good
        of_good = names if good.all() else list(itertools.compress(names, good.tolist()))
        index = {name: number for number, name in enumerate(dict.fromkeys(of_good))}
        series = list(map(index.__getitem__, of_good))
        readings = Readings(tuple(index), np.array(series, np.int32), time[good], narrow[good], offset[good])
        dead.sort()
        return Decoded(readings, dead, columns.skipped, values[good])

    def _parse(self, records: RecordColumns, dead: list[DeadLetter]) -> tuple[list[Any], list[int]]:
        rows: list[Any] = []
        at: list[int] = []
        decode = self._decoder.decode
        for place, value in enumerate(records.value):
            try:
                rows.append(decode(value or b""))
                at.append(place)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                row = self._second_look(value, error)
                if isinstance(row, Exception):
                    dead.append(_refusal(int(records.offset[place]), value, row))
                else:
                    rows.append(row)
                    at.append(place)
        return rows, at

    def _second_look(self, value: bytes | None, error: Exception) -> Any:
        """JSON has no NaN, but many producers write it: only those records take this slow way."""
        if (
            value is None
            or (isinstance(error, msgspec.ValidationError) and "out of range" not in str(error))
            or not re.search(rb"NaN|Infinity|[eE]\+?\d{3}", value)
        ):
            return error
        try:
            return msgspec.convert(json.loads(value.decode()), self._row)
        except msgspec.ValidationError as second:
            return second
        except (ValueError, RecursionError):
            return error

    def _series(self, records: RecordColumns, rows: list[Any], at: list[int]) -> list[Any]:
        if self.mapping.series_from == "key":
            return list(map(records.key.__getitem__, at))
        return list(map(self._get["series"], rows))

    def _wanted(self, names: list[str]) -> NDArray[np.bool_]:
        if self.mapping.series == "*":
            return np.ones(len(names), np.bool_)
        match = re.compile(fnmatch.translate(self.mapping.series)).match
        return np.array([match(name) is not None for name in names], np.bool_)

    def _values(self, rows: list[Any], columns: _Columns) -> NDArray[np.float64]:
        """Of measured channels, with NaN where there is silence."""
        values = np.full((len(rows), self._measured), np.nan)
        if self.mapping.layout == "wide":
            for at in range(self._measured):
                values[:, at] = _numbers(list(map(self._get[f"channel {at}"], rows)))
            return values
        tags = [_name(self._get["channel"](row)) for row in rows]
        channel = np.array([self._tags.get(tag, -1) for tag in tags], np.int64)
        known = channel >= 0
        if self.mapping.strict:
            columns.refuse(~known, Reason.UNKNOWN_CHANNEL, "the mapping has no such channel: {}", tags)
        else:
            columns.skip(~known)
        one = _numbers(list(map(self._get["value"], rows)))
        values[np.flatnonzero(known), channel[known]] = one[known]
        return values


class _Columns:
    """The columns of a batch in the making: which rows are still good, and why the others are not."""

    def __init__(self, rows: int, offset: NDArray[np.int64], dead: list[DeadLetter]) -> None:
        self.good = np.ones(rows, np.bool_)
        self.skipped = 0
        self._offset = offset
        self._dead = dead

    def refuse(self, bad: NDArray[np.bool_], reason: Reason, detail: str, shown: Sequence[Any] = ()) -> None:
        """Set rows aside; a row has one reason, the first."""
        for row in np.flatnonzero(bad & self.good).tolist():
            text = detail.format(repr(shown[row])[:100]) if shown else detail
            self._dead.append(DeadLetter(int(self._offset[row]), reason, text))
        self.good &= ~bad

    def skip(self, other: NDArray[np.bool_]) -> None:
        """Leave rows out that nobody asked for."""
        self.skipped += int((other & self.good).sum())
        self.good &= ~other

    def times(self, raw: list[Any], unit: str) -> NDArray[np.int64]:
        """Event times in ms; 0 where there is none."""
        if type(None) in set(map(type, raw)):
            absent = np.array([time is None for time in raw], np.bool_)
            self.refuse(absent, Reason.NO_TIME, "the record has no time")
        if unit == "iso8601":
            ms = np.array([_iso_ms(time) if time is not None else np.nan for time in raw], np.float64)
        else:
            ms = _epoch_ms(raw, unit)
        sane = (ms >= 0) & (ms < LAST_TIME)
        self.refuse(~sane, Reason.NO_TIME, f"the time is not within 1970 to 9999 in {unit}: {{}}", raw)
        return np.where(sane, ms, 0).astype(np.int64)

    def check_ahead(self, time: NDArray[np.int64], timestamp: NDArray[np.int64], most: int) -> None:
        """A clock that runs ahead must not close everybody's windows."""
        ahead = (timestamp >= 0) & (time > timestamp + most)
        self.refuse(ahead, Reason.AHEAD, f"the time is more than {most} ms ahead of the record's own timestamp")

    def names(self, raw: list[Any]) -> list[str]:
        """Each row's series; empty where there is none."""
        known = {series: _name(series) for series in set(raw)}  # series repeat
        names = list(map(known.__getitem__, raw))
        wrong = {name for name in known.values() if not name or len(name) > LONGEST_NAME}
        if wrong:
            bad = np.array([name in wrong for name in names], np.bool_)
            self.refuse(bad, Reason.NO_SERIES, "the record names no series (or not in text): {}", raw)
        return names


def _name(raw: Any) -> str:
    try:
        name = raw.decode() if isinstance(raw, bytes) else "" if raw is None else str(raw)
        name.encode()  # json.loads lets half a surrogate pair through, which is no text
    except UnicodeError:
        return ""
    return name


def _numbers(raw: list[Any]) -> NDArray[np.float64]:
    """Numbers with NaN for None; without any, at half the cost."""
    try:
        return np.fromiter(raw, np.float64, len(raw))
    except TypeError:
        return np.array(raw, np.float64)


def _epoch_ms(raw: list[Any], unit: str) -> NDArray[np.float64]:
    """Epoch times in ms; NaN where there is none. Whole ones stay exact, whatever stands beside them."""
    if set(map(type, raw)) == {int} and min(raw) > -FAR and max(raw) < FAR:
        return np.asarray(TO_MS[unit](np.array(raw, int)), np.float64)
    ms = np.full(len(raw), np.nan)
    for kind in (int, float):
        rows = [row for row, time in enumerate(raw) if type(time) is kind and -FAR < time < FAR]
        ms[rows] = TO_MS[unit](np.array([raw[row] for row in rows], kind))
    return ms


def _iso_ms(time: datetime) -> int:
    """A time without a zone is held to be UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(milliseconds=1)


def _refusal(offset: int, value: bytes | None, error: Exception) -> DeadLetter:
    if value is None:
        return DeadLetter(offset, Reason.UNDECODABLE, "the record has no value")
    detail = str(error)[:LONGEST_DETAIL]  # it may quote a field's name
    if "unknown field" in detail:
        return DeadLetter(offset, Reason.UNKNOWN_CHANNEL, detail)
    if isinstance(error, msgspec.ValidationError):
        return DeadLetter(offset, Reason.WRONG_TYPE, detail)
    return DeadLetter(offset, Reason.UNDECODABLE, detail)
