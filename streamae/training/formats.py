"""Formats: a Parquet or CSV file of readings -> a frame, and no Python object a reading where the file allows it.

Only the columns that are asked for are read, so it does not matter what the others hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from streamae.errors import DataError

Check = Callable[[Sequence[str], str], None]  # of the columns' names, and where they are: raises DataError
Names = Mapping[str, str]  # what a file calls `time` and `series` -> these
USUAL: Names = {"time": "time", "series": "series"}
PARQUET = "remove it or write it anew; it has to be a Parquet file"
CSV = "it has to be UTF-8, with numbers in the channels, and as many values in each row as there are columns"
CURES = {".parquet": PARQUET, ".pq": PARQUET, ".csv": CSV}
WHOLE = "and to be renamed to this only once it is whole"
NAME = pa.dictionary(pa.int32(), pa.string())  # each name once: 007 stays 007
TIMES = (pa.int64(), pa.float64(), pa.timestamp("ns"), pa.timestamp("ns", "UTC"))


def frame(file: Path, channels: Sequence[str], check: Check, named: Names = USUAL) -> pd.DataFrame:
    """The columns time, series and channels of a file, where it has them. Raises DataError with the cure."""
    suffix = file.suffix.lower()
    if suffix not in CURES:
        raise DataError(f"{file}: is neither Parquet nor CSV; name it *.parquet or *.csv")
    has: list[str] = []

    def checked(names: Sequence[str]) -> None:
        has[:] = names
        check(names, str(file))

    try:
        reader = _csv if suffix == ".csv" else _parquet
        columns = dict.fromkeys(channels) | dict.fromkeys(named)
        found = reader(file, list(columns), checked, named).rename(columns=named)
    except DataError:
        raise
    except Exception as error:  # of a damaged file, pyarrow and pandas may raise anything
        raise DataError(f"{file}: cannot be read ({str(error).strip()}); {CURES[suffix]}, {WHOLE}") from error
    found.attrs["columns"] = has  # what was not read can still be named
    return found


def _parquet(file: Path, columns: list[str], check: Callable[[Sequence[str]], None], named: Names) -> pd.DataFrame:
    names = parquet.read_schema(file).names
    check(names)
    once = [name for name in names if named.get(name) == "series"]
    with parquet.ParquetFile(file, read_dictionary=once) as opened:
        wanted = [name for name in names if name in columns]
        read: pd.DataFrame = opened.read(columns=wanted, use_pandas_metadata=True).to_pandas()
    return read


def _csv(file: Path, columns: list[str], check: Callable[[Sequence[str]], None], named: Names) -> pd.DataFrame:
    options = csv.ReadOptions(use_threads=False)  # then errors name the row
    with csv.open_csv(file, options) as opened:
        names = opened.schema.names
    check(names)
    kinds = {"time": pa.string(), "series": NAME}
    types: dict[str, Any] = {name: kinds.get(named.get(name, ""), pa.float64()) for name in columns}
    convert = csv.ConvertOptions(column_types=types, include_columns=[name for name in names if name in columns])
    table = csv.read_csv(file, options, convert_options=convert)
    for at, name in enumerate(table.column_names):
        if named.get(name) == "time":
            table = table.set_column(at, name, _times(table[name]))
    read: pd.DataFrame = table.to_pandas()
    return read


def _times(column: Any) -> Any:
    """Text as numbers or times, where all of it is of one kind; else as it is."""
    for kind in TIMES:
        with suppress(pa.ArrowInvalid):
            return column.cast(kind)
    return column
