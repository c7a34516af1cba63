"""What a use makes of stored readings, as a Parquet file.

embed    series, start, end (UTC, to the ms), observed, embedding (K numbers), version
clean    series, time, each channel by its name, version
impute   the same, and of each channel `filled_<channel>` and `uncertainty_<channel>`, null where it was measured
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Manifest
from streamae.errors import DataError
from streamae.history.parquet import TIME, writing
from streamae.history.scoring import Progress
from streamae.training.files import Table
from streamae.uses.stretches import Asked, Codes, Ticks, codes, ticks


def write(out: Path, artifact: Artifact, table: Table, asked: Asked, progress: Progress | None = None) -> int:
    """Write what becomes of stored readings; returns how many rows that are.

    Raises ConfigError for a use that the artifact's kind cannot serve, DataError where there is nothing to use, or the
    file cannot be written.
    """
    if asked.use == "embed":
        return _write_codes(out, artifact, table, asked, progress)
    manifest = artifact.manifest
    with writing(out, _columns(manifest, asked), manifest) as file:
        for part in ticks(artifact, table, asked, progress):
            file.add(columns(part, manifest))
    return file.rows


def _write_codes(out: Path, artifact: Artifact, table: Table, asked: Asked, progress: Progress | None) -> int:
    parts = codes(artifact, table, asked, progress)
    first = next(parts, None)
    if first is None:
        raise DataError("there is no window to embed")
    numbers = pa.list_(pa.float32(), first.embedding.shape[1])
    facts = {"series": pa.string(), "start": TIME, "end": TIME, "observed": pa.float64(), "embedding": numbers}
    with writing(out, facts, artifact.manifest) as file:
        for part in (first, *parts):
            file.add(_of_codes(part))
    return file.rows


def _of_codes(part: Codes) -> dict[str, Any]:
    flat = pa.array(part.embedding.ravel(), pa.float32())
    embedding = pa.FixedSizeListArray.from_arrays(flat, part.embedding.shape[1])
    return {**part._asdict(), "series": pa.array(part.series, pa.string()), "embedding": embedding}


def _columns(manifest: Manifest, asked: Asked) -> dict[str, Any]:
    names = manifest.measured
    found: dict[str, Any] = {"series": pa.string(), "time": TIME, **dict.fromkeys(names, pa.float64())}
    if asked.use == "impute":
        for name in names:
            found |= {f"filled_{name}": pa.bool_(), f"uncertainty_{name}": pa.float64()}
    return found


def columns(part: Ticks, manifest: Manifest) -> dict[str, Any]:
    """The same as columns by name; NaN becomes null in the file."""
    found: dict[str, Any] = {"series": pa.array(part.series, pa.string()), "time": part.time}
    for at, name in enumerate(manifest.measured):
        found[name] = pa.array(part.values[:, at], from_pandas=True)
        if part.uncertainty is not None:
            sure = part.uncertainty[:, at]
            found[f"filled_{name}"] = ~np.isnan(sure)
            found[f"uncertainty_{name}"] = pa.array(sure, from_pandas=True)
    return found
