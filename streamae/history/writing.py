"""Scores as a Parquet file: one row a window, as serving publishes it, or one row a reading.

A window: series, start, end (UTC, to the ms), score, settled, observed, threshold, `error_<channel>` each, version.
A reading: series, time, score, settled, `error_<channel>` each, version; NaN where too little was observed.

B windows, N rows, C channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Manifest
from streamae.detection.runtime import Device
from streamae.detection.scoring import Scorer
from streamae.history.parquet import GROUP, TIME, names, writing
from streamae.history.scoring import Progress, Scored, score_rows, scored_windows
from streamae.history.stored import Stored
from streamae.training.files import Table


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
    columns = _columns(manifest, {"start": TIME, "end": TIME}, ("observed", "threshold"))
    above = 0
    with writing(out, columns, manifest) as file:
        for part in scored_windows(scorer, stored, progress):
            file.add(_window_columns(part, manifest))
            above += int((part.scores.score > 1).sum())
    return Written(file.rows, above)


def write_rows(
    out: Path, artifact: Artifact, table: Table, device: Device = "cpu", progress: Progress | None = None
) -> Written:
    """Score every stored reading into a file, in the order of the table. Raises DataError as `write_windows` does."""
    manifest = artifact.manifest
    found = score_rows(artifact, table, progress, device)
    with writing(out, _columns(manifest, {"time": TIME}, ()), manifest) as file:
        for at in range(0, len(table), GROUP):
            rows = slice(at, at + GROUP)
            columns = {"series": names(table.series[rows], table.names), "time": table.time[rows]}
            columns |= {"score": found.score[rows], "settled": found.settled[rows]}
            file.add(columns | _errors(found.channel_error[rows], manifest))
    return Written(file.rows, int((found.score > 1).sum()))


def _window_columns(part: Scored, manifest: Manifest) -> dict[str, Any]:
    windows, scores = part
    times = {"series": pa.array(windows.series, pa.string()), "start": windows.start, "end": windows.end}
    said = {"score": scores.score, "settled": scores.settled}
    facts = {"observed": windows.observed, "threshold": scores.threshold}
    return times | said | facts | _errors(scores.channel_error, manifest)


def _errors(error: Any, manifest: Manifest) -> dict[str, Any]:
    """A column a channel, of errors [B, C]."""
    return {f"error_{name}": error[:, at].astype(np.float32) for at, name in enumerate(manifest.measured)}


def _columns(manifest: Manifest, times: dict[str, Any], more: tuple[str, ...]) -> dict[str, Any]:
    """The columns of a file of scores, by name and type."""
    doubles = {name: pa.float64() for name in ("score", "settled", *more)}
    errors = {f"error_{name}": pa.float32() for name in manifest.measured}
    return {"series": pa.string(), **times, **doubles, **errors}
