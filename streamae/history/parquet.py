"""A Parquet file that is there only once it is whole: written aside, row group by row group, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from streamae.detection.manifest import Manifest
from streamae.errors import DataError

GROUP = 65_536  # rows that are written at once
TIME = pa.timestamp("ms", "UTC")
NAME = pa.dictionary(pa.int32(), pa.string())


class File:
    """A file in the making, of which every row names the version that it comes from."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema
        self._version = schema.metadata[b"streamae.version"].decode()
        self._waiting: list[Any] = []
        self._count = 0
        self.rows = 0

    def add(self, columns: dict[str, Any]) -> None:
        """Add rows; a row group is written when there are enough."""
        count = len(next(iter(columns.values())))
        columns["version"] = names(np.zeros(count, np.int32), (self._version,))
        arrays = [pa.array(columns[field.name]).cast(field.type) for field in self._schema]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._count += count
        self.rows += count
        if self._count >= GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting))
        self._waiting, self._count = [], 0


@contextmanager
def writing(out: Path, columns: dict[str, Any], manifest: Manifest) -> Iterator[File]:
    """A file of these columns, by name and type, and of the version. Raises DataError where it cannot be written."""
    facts = {"streamae.model": manifest.name, "streamae.version": manifest.version}
    schema = pa.schema({**columns, "version": NAME}, facts)
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with parquet.ParquetWriter(aside, schema, compression="zstd") as writer:
            file = File(writer, schema)
            yield file
            file.flush()
        aside.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error}); give an --out in a folder that can be") from error
    finally:
        aside.unlink(missing_ok=True)


def names(index: Any, known: tuple[str, ...]) -> Any:
    """Names [N] from places among them, each name once in memory."""
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), pa.array(known, pa.string())).cast(pa.string())
