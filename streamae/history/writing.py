"""Scores as a Parquet file: one row a window, as serving publishes it, or one row a reading.

A window: series, start, end (UTC, to the ms), score, settled, observed, threshold, `error_<channel>` each, version.
A reading: series, time, score, settled, `error_<channel>` each, version; NaN where too little was observed.

The file is written aside, row group by row group, and renamed when it is whole. B windows, N rows, C channels.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from streamae.detection.artifact import Artifact, Manifest
from streamae.detection.runtime import Device
from streamae.detection.scoring import Scorer
from streamae.errors import DataError
from streamae.history.scoring import Progress, Scored, score_rows, scored_windows
from streamae.history.stored import Stored
from streamae.training.files import Table

GROUP = 65_536  # rows that are written at once
TIME = pa.timestamp("ms", "UTC")
NAME = pa.dictionary(pa.int32(), pa.string())


class Written(NamedTuple):
    """What a file of scores holds."""

    rows: int
    above: int  # of them, those whose score is above 1


def write_windows(
    out: Path, artifact: Artifact, table: Table, device: Device = "cpu", progress: Progress | None = None
) -> Written:
    """Score all windows of stored readings into a file. Memory holds the readings and a slice of windows.

    Raises DataError where there is nothing to score, or the file cannot be written.
    """
    manifest = artifact.manifest
    stored = Stored.of(table, manifest)
    scorer = Scorer(artifact, device)
    with _file(out, _schema(manifest, {"start": TIME, "end": TIME}, ("observed", "threshold"))) as file:
        for part in scored_windows(scorer, stored, progress):
            file.add(_window_columns(part, manifest), part.scores.score)
    return Written(file.rows, file.above)


def write_rows(
    out: Path, artifact: Artifact, table: Table, device: Device = "cpu", progress: Progress | None = None
) -> Written:
    """Score every stored reading into a file, in the order of the table. Raises DataError as `write_windows` does."""
    manifest = artifact.manifest
    found = score_rows(artifact, table, progress, device)
    with _file(out, _schema(manifest, {"time": TIME}, ())) as file:
        for at in range(0, len(table), GROUP):
            rows = slice(at, at + GROUP)
            columns = {"series": _names(table.series[rows], table.names), "time": table.time[rows]}
            columns |= {"score": found.score[rows], "settled": found.settled[rows]}
            file.add(columns | _errors(found.channel_error[rows], manifest), found.score[rows])
    return Written(file.rows, file.above)


def _window_columns(part: Scored, manifest: Manifest) -> dict[str, Any]:
    windows, scores = part
    times = {"series": pa.array(windows.series, pa.string()), "start": windows.start, "end": windows.end}
    said = {"score": scores.score, "settled": scores.settled}
    facts = {"observed": windows.observed, "threshold": scores.threshold}
    return times | said | facts | _errors(scores.channel_error, manifest)


def _errors(error: Any, manifest: Manifest) -> dict[str, Any]:
    """A column a channel, of errors [B, C]."""
    return {f"error_{one.name}": error[:, at].astype(np.float32) for at, one in enumerate(manifest.channels)}


def _names(index: Any, names: tuple[str, ...]) -> Any:
    """Names [N] from places among them, each name once in memory."""
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), pa.array(names, pa.string())).cast(pa.string())


def _schema(manifest: Manifest, times: dict[str, Any], more: tuple[str, ...]) -> Any:
    doubles = {name: pa.float64() for name in ("score", "settled", *more)}
    errors = {f"error_{channel.name}": pa.float32() for channel in manifest.channels}
    facts = {"streamae.model": manifest.name, "streamae.version": manifest.version}
    return pa.schema({"series": pa.string(), **times, **doubles, **errors, "version": NAME}, facts)


class _Scores:
    """A file of scores in the making."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema
        self._version = schema.metadata[b"streamae.version"].decode()
        self._waiting: list[Any] = []
        self._count = 0
        self.rows = self.above = 0

    def add(self, columns: dict[str, Any], score: Any) -> None:
        """Add rows; a row group is written when there are enough."""
        columns["version"] = _names(np.zeros(len(score), np.int32), (self._version,))
        arrays = [pa.array(columns[field.name]).cast(field.type) for field in self._schema]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._count += len(score)
        self.rows += len(score)
        self.above += int((score > 1).sum())
        if self._count >= GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting))
        self._waiting, self._count = [], 0


@contextmanager
def _file(out: Path, schema: Any) -> Iterator[_Scores]:
    """A file of scores that is there only once it is whole."""
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with parquet.ParquetWriter(aside, schema, compression="zstd") as writer:
            scores = _Scores(writer, schema)
            yield scores
            scores.flush()
        aside.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error}); give an --out in a folder that can be") from error
    finally:
        aside.unlink(missing_ok=True)
