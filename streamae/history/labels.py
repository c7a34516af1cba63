"""Labels: the times in which a series is known to have been anomalous, from files and frames.

Columns `series`, `start` and `end`: timestamps (UTC where they name no zone) or ms since the epoch; `start_ms` and
`end_ms` are taken too. JSON is a list of objects with these keys, as `streamae simulate` writes its faults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from streamae.errors import DataError
from streamae.training import files
from streamae.training.matching import Event

COLUMNS = ("series", "start", "end")


def read(file: Path) -> list[Event]:
    """The labelled events in a CSV, Parquet or JSON file. Raises DataError that names file, fault and cure."""
    try:
        return events(_frame(file), str(file))
    except DataError:
        raise
    except Exception as error:  # of a damaged file, pandas and pyarrow may raise anything
        raise DataError(f"{file}: cannot be read ({str(error).strip()}); write labels as {_wanted()}") from error


def events(frame: pd.DataFrame, where: str = "labels") -> list[Event]:
    """The labelled events in a frame, in its order. Raises DataError."""
    plain = frame.rename(columns={f"{name}_ms": name for name in ("start", "end") if name not in frame.columns})
    missing = [name for name in COLUMNS if name not in plain.columns]
    if missing:
        raise DataError(f"{where}: no column {', '.join(missing)}; labels are {_wanted()}")
    if not len(plain):
        return []
    tables = [
        files.table(pd.DataFrame({"series": plain["series"], "time": plain[name]}), (), where=f"{where}, {name}")
        for name in ("start", "end")
    ]
    start, end = tables
    names = [start.names[at] for at in start.series.tolist()]
    found = [Event(*row) for row in zip(names, start.time.tolist(), end.time.tolist(), strict=True)]
    for row, event in enumerate(found):
        if event.end <= event.start:
            raise DataError(f"{where}: row {row} ends before it starts, or when it does; labels are {_wanted()}")
    return found


def _frame(file: Path) -> pd.DataFrame:
    suffix = file.suffix.lower()
    if suffix == ".json":
        return pd.DataFrame(_objects(file))
    if suffix == ".csv":
        return pd.read_csv(file, dtype={"series": str})
    if suffix in (".parquet", ".pq"):
        return pd.read_parquet(file)
    raise DataError(f"{file}: is neither CSV nor Parquet nor JSON; labels are {_wanted()}")


def _objects(file: Path) -> list[dict[str, Any]]:
    return msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])


def _wanted() -> str:
    return "a CSV, Parquet or JSON file with series, start and end of each event"
