"""Stored readings from Parquet and CSV files and from pandas, as columns.

A frame has a column `time` (or a time index), a column `series` (else the file's stem), and one column a channel.
Times are timestamps (UTC where they name no zone) or whole ms since the epoch. N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from streamae.errors import DataError

ONE = "readings"  # the series of a frame that names none


@dataclass(frozen=True)
class Table:
    """Stored readings in the order in which they are stored."""

    names: tuple[str, ...]  # the series that occur, sorted
    series: NDArray[np.int64]  # [N] index into names
    time: NDArray[np.int64]  # [N] ms since the epoch
    values: NDArray[np.float64]  # [N, C]; NaN = silence

    def __len__(self) -> int:
        return len(self.time)


def read(patterns: Sequence[str], channels: Sequence[str]) -> Table:
    """The readings in all files that match. Raises DataError that names the file, the fault and the cure."""
    files = sorted({file for pattern in patterns for file in _matching(Path(pattern))})
    if not files:
        raise DataError(f"no file matches $.training.files = {list(patterns)}; give Parquet or CSV files of readings")
    return _join([table(_frame(file), channels, file.stem, str(file)) for file in files])


def table(frame: pd.DataFrame, channels: Sequence[str], stem: str = ONE, where: str = "frame") -> Table:
    """The readings in a frame; `stem` names the series where it has no column `series`."""
    missing = [channel for channel in channels if channel not in frame.columns]
    if missing:
        raise DataError(
            f"{where}: no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}. "
            "Name the columns as the channels in $.readings.channels"
        )
    if frame.empty:
        raise DataError(f"{where}: holds no readings")
    names, series = _series(frame, stem, where)
    return Table(names, series, _times(frame, where), _values(frame, channels, where))


def _matching(pattern: Path) -> list[Path]:
    root = Path(pattern.anchor)
    return [file for file in root.glob(str(pattern.relative_to(root))) if file.is_file()]


def _frame(file: Path) -> pd.DataFrame:
    suffix = file.suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(file)
        if suffix == ".csv":
            return pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
    raise DataError(f"{file}: is neither Parquet nor CSV; name it *.parquet or *.csv")


def _series(frame: pd.DataFrame, stem: str, where: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if "series" not in frame.columns:
        return (stem,), np.zeros(len(frame), np.int64)
    column = frame["series"]
    if column.isna().any():
        raise DataError(f"{where}: row {int(column.isna().argmax())} names no series; fill the column `series`")
    codes, names = pd.factorize(column.astype(str), sort=True)
    return tuple(map(str, names)), codes.astype(np.int64)


def _times(frame: pd.DataFrame, where: str) -> NDArray[np.int64]:
    column = frame["time"] if "time" in frame.columns else frame.index.to_series()
    if "time" not in frame.columns and not isinstance(frame.index, pd.DatetimeIndex):
        raise DataError(f"{where}: has neither a column `time` nor a time index; add one of them")
    try:
        time = _utc(column)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{where}: `time` holds what is neither a time nor ms since the epoch ({error})") from error
    if time.isna().any():
        raise DataError(f"{where}: row {int(time.isna().to_numpy().argmax())} has no time")
    return np.asarray(time.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64))


def _utc(column: pd.Series[Any]) -> pd.Series[pd.Timestamp]:
    """Numbers are ms since the epoch, text is ISO 8601."""
    if pd.api.types.is_numeric_dtype(column):
        return pd.to_datetime(column, utc=True, unit="ms")
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True)
    return pd.to_datetime(column, utc=True, format="ISO8601")


def _values(frame: pd.DataFrame, channels: Sequence[str], where: str) -> NDArray[np.float64]:
    values = np.empty((len(frame), len(channels)))
    for at, channel in enumerate(channels):
        try:
            values[:, at] = frame[channel].to_numpy(np.float64, na_value=np.nan)
        except (ValueError, TypeError) as error:
            raise DataError(f"{where}: channel {channel} holds what is not a number ({error})") from error
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
