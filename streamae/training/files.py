"""Stored readings from Parquet and CSV files and from pandas, as columns.

A frame has a column `time` (or a time index), a column `series` (else the file's stem), and one column a channel.
Times are timestamps (UTC where they name no zone) or whole ms since the epoch; the columns `time` and `series` may be
in the index. Rows may come in any order, and twice; files without rows are passed over; columns that are no channel,
labels for instance, are never looked at. N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from streamae.errors import DataError
from streamae.training import formats

ONE = "readings"  # the series of a frame that names none
YEAR_MS = 31_556_952_000
EARLY, LATE = 10 * YEAR_MS, 230 * YEAR_MS  # 1980 and 2200: numbers beyond are of another unit than ms
UNITS = {"s": 1000.0, "us": 1e-3, "ns": 1e-6}  # of numbers, in ms


@dataclass(frozen=True)
class Table:
    """Stored readings in the order in which they are stored."""

    names: tuple[str, ...]  # the series that occur, sorted
    series: NDArray[np.int64]  # [N] index into names
    time: NDArray[np.int64]  # [N] ms since the epoch
    values: NDArray[np.float64]  # [N, C]; NaN = silence

    def __len__(self) -> int:
        return len(self.time)

    def between(self, start: int, end: int) -> Table:
        """The readings of the event times [start, end), in ms."""
        rows = (self.time >= start) & (self.time < end)
        if rows.all():
            return self
        series = self.series[rows]
        there = np.bincount(series, minlength=len(self.names)) > 0
        names = tuple(name for name, occurs in zip(self.names, there.tolist(), strict=True) if occurs)
        return Table(names, (np.cumsum(there) - 1)[series], self.time[rows], self.values[rows])


def read(patterns: Sequence[str], channels: Sequence[str], named: formats.Names = formats.USUAL) -> Table:
    """The readings in all files that match; `named` says what they call `time` and `series`.

    Raises DataError that names the file, the fault and the cure.
    """
    files = sorted({file for pattern in patterns for file in _matching(pattern)})
    if not files:
        raise DataError(
            "there is nothing to train on: name Parquet or CSV files of readings in $.training.files, "
            "or a number of days of the topic in $.training.topic_days"
        )
    tables = []
    for file in files:
        frame = formats.frame(file, channels, lambda names, where: _check_columns(names, channels, where), named)
        if len(frame):
            tables.append(table(frame, channels, file.stem, str(file)))
    if not tables:
        raise DataError(f"{', '.join(map(str, files))}: no file holds readings")
    return _join(tables)


def table(frame: pd.DataFrame, channels: Sequence[str], stem: str = ONE, where: str = "frame") -> Table:
    """The readings in a frame; `stem` names the series where it has no column `series`."""
    inside = [name for name in frame.index.names if name in ("time", "series") and name not in frame.columns]
    frame = frame.reset_index(level=inside) if inside else frame
    _check_columns(list(frame.columns), channels, where)
    if not len(frame):
        raise DataError(f"{where}: holds no readings")
    names, series = _series(frame, stem, where)
    return Table(names, series, _times(frame, where), _values(frame, channels, where))


def moment(time_ms: int) -> str:
    """An event time for people, in UTC."""
    return f"{np.datetime64(time_ms, 'ms').astype('datetime64[s]')}Z"


def _matching(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_file():
        return [path]
    if path.is_dir():
        raise DataError(f"{pattern} is a folder; name the files in it, as {path / '*.parquet'}")
    root = Path(path.anchor)
    try:
        found = [file for file in root.glob(str(path.relative_to(root))) if file.is_file()]
    except ValueError as error:
        raise DataError(f"{pattern} is no pattern of files ({error})") from error
    if not found:
        raise DataError(f"no file matches {pattern}; correct it, or put the readings there")
    return found


def _check_columns(names: Sequence[Any], channels: Sequence[str], where: str) -> None:
    has = f"it has {', '.join(map(str, names)) or 'no columns'}"
    missing = [channel for channel in channels if channel not in names]
    if missing:
        raise DataError(
            f"{where}: no column {', '.join(missing)}; {has}. Name the channels in $.readings.channels as the columns"
        )
    twice = [name for name in ("time", "series", *channels) if list(names).count(name) > 1]
    if twice:
        raise DataError(f"{where}: more than one column {', '.join(twice)}; {has}. Keep one of each")


def _series(frame: pd.DataFrame, stem: str, where: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if "series" not in frame.columns:
        return (stem,), np.zeros(len(frame), np.int64)
    try:
        codes, found = pd.factorize(frame["series"])  # [N], and each name once
    except TypeError as error:
        raise DataError(f"{where}: `series` holds what is no name ({error}); write text or numbers") from error
    names = [_name(one) for one in found]
    nameless = codes < 0
    for at in (at for at, name in enumerate(names) if not name):
        nameless |= codes == at
    if nameless.any():
        raise DataError(f"{where}: row {int(nameless.argmax())} names no series; fill the column `series`")
    unique, place = np.unique(np.array(names, dtype=object), return_inverse=True)
    return tuple(unique.tolist()), place.astype(np.int64)[codes]


def _name(raw: Any) -> str:
    """As live readings name it: 7 and 7.0 are the series `7`."""
    if isinstance(raw, bytes):
        return raw.decode(errors="replace")
    return str(int(raw)) if isinstance(raw, float) and raw.is_integer() else str(raw)


def _times(frame: pd.DataFrame, where: str) -> NDArray[np.int64]:
    if "time" in frame.columns:
        column: pd.Series[Any] = frame["time"]
    elif isinstance(frame.index, pd.DatetimeIndex):
        column = frame.index.to_series()
    else:
        has = ", ".join(map(str, frame.attrs.get("columns", frame.columns)))
        raise DataError(
            f"{where}: has neither a column `time` nor a time index; add one of them to {has}, "
            "or say in $.training.time_column which of them it is"
        )
    if column.dtype == object or pd.api.types.is_string_dtype(column):
        with suppress(ValueError, TypeError):
            column = pd.to_numeric(column)
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    try:
        time = column if numbers else _utc(column)
    except (ValueError, TypeError, OverflowError) as error:
        why = str(error).partition(" You might want")[0]
        raise DataError(f"{where}: `time` holds what is neither a time nor ms since the epoch ({why})") from error
    if time.isna().any():
        raise DataError(f"{where}: row {int(time.isna().to_numpy().argmax())} has no time")
    if numbers:
        return _epoch_ms(time, where)
    return np.asarray(time.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64))


def _utc(column: pd.Series[Any]) -> pd.Series[Any]:
    """Text is ISO 8601; what names no zone is UTC."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True)
    return pd.to_datetime(column, utc=True, format="ISO8601")


def _epoch_ms(column: pd.Series[Any], where: str) -> NDArray[np.int64]:
    """Numbers as ms since the epoch, where they can be that."""
    raw: NDArray[Any] = column.to_numpy()
    if raw.dtype.kind not in "iuf":
        raw = column.to_numpy(np.float64)
    if np.isinf(raw).any():
        raise DataError(f"{where}: row {int(np.isinf(raw).argmax())} has an infinite time")
    middle = float(np.median(raw))
    if not EARLY <= middle <= LATE:
        units = [unit for unit, ms in UNITS.items() if EARLY <= middle * ms <= LATE]
        looks = (
            f"they look like {units[0]}; multiply them by {UNITS[units[0]]:g}"
            if units
            else "write those, or timestamps"
        )
        raise DataError(f"{where}: `time` holds numbers like {middle:.15g}, which are no ms since 1970: {looks}")
    ms: NDArray[np.int64] = np.floor(raw).astype(np.int64)
    return ms


def _values(frame: pd.DataFrame, channels: Sequence[str], where: str) -> NDArray[np.float64]:
    values = np.empty((len(frame), len(channels)))
    for at, channel in enumerate(channels):
        column = frame[channel]
        try:
            if getattr(column.dtype, "kind", "O") in "bcmM":
                raise TypeError(f"it is of the type {column.dtype}")
            values[:, at] = column.to_numpy(np.float64, na_value=np.nan)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(
                f"{where}: channel {channel} holds what is not a number ({error}); write numbers, "
                "and nothing for silence"
            ) from error
    return values


def _join(tables: list[Table]) -> Table:
    """One table of several; a series may be spread over files."""
    names = sorted({name for one in tables for name in one.names})
    index = {name: at for at, name in enumerate(names)}
    series = [np.array([index[name] for name in one.names], np.int64)[one.series] for one in tables]
    return Table(
        tuple(names),
        np.concatenate(series),
        np.concatenate([one.time for one in tables]),
        np.concatenate([one.values for one in tables]),
    )
