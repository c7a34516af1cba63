"""What the command line does with the uses: of stored readings into a file, and what would have done as well."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
from rich.console import Console

from streamae.config import Config
from streamae.detection.artifact import Artifact
from streamae.detection.coding import Decoder
from streamae.detection.derived import Doubles
from streamae.detection.manifest import Manifest
from streamae.detection.uses import Use
from streamae.detection.uses import check as check_use
from streamae.errors import ConfigError
from streamae.history.commands import champion, progress, readings
from streamae.history.parquet import TIME, writing
from streamae.training import files
from streamae.training.files import Table
from streamae.training.repairs_report import said_of
from streamae.uses.generating import Wish, check, generate, newest_window
from streamae.uses.stretches import Asked
from streamae.uses.writing import write

ROWS: dict[Use, str] = {"embed": "windows", "clean": "ticks", "impute": "ticks"}


class Using:
    """A use of stored readings that is ready to run."""

    def __init__(self, config: Config, use: Use, patterns: Sequence[str], out: Path, version: str | None) -> None:
        """Raises ConfigError, RegistryError, DataError before anything is done."""
        self._artifact = champion(config, version)
        check_use(self._artifact, [use])
        self._asked = Asked(use, config.episodes.min_observed, config.serving.device)
        self._table, self._out = readings(config, self._artifact, patterns), out

    def run(self, console: Console, as_json: bool) -> None:
        """Write the file with a progress bar on a terminal; prints what it holds, and what would have done as well."""
        use, manifest = self._asked.use, self._artifact.manifest
        with progress(console, use, len(self._table)) as handled:
            rows = write(self._out, self._artifact, self._table, self._asked, handled)
        measured = manifest.report.get("uses", {}).get(use)
        facts = {"out": str(self._out), "model": manifest.name, "version": manifest.version, "rows": rows}
        facts |= {"readings": len(self._table), "unit": ROWS[use], "measured": measured}
        text = f"{self._out}: {rows:,} {ROWS[use]} by {manifest.name} {manifest.version}"
        _tell(console, as_json, facts, [text, *said_of(use, manifest.report)])


class Obeyed(NamedTuple):
    """Files that say what generated series obey: conditions, or readings to go between."""

    conditions: Sequence[str] = ()
    start: int | None = None  # event time of the first tick, ms; after what was learnt from without, or the conditions'
    between: tuple[Path, Path] | None = None


class Generating:
    """Series that are ready to be generated."""

    def __init__(self, config: Config, artifact: Artifact, wish: Wish, count: int, by: Obeyed) -> None:
        """Raises ConfigError, RegistryError, DataError before anything is done."""
        self._decoder = Decoder(artifact)
        if by.conditions and by.between:
            raise ConfigError("--conditions and --between are both given; give one of them")
        if by.conditions and by.start is not None:
            raise ConfigError("--conditions and --start are both given: the series starts where the conditions do")
        start = artifact.manifest.learnt_until if by.start is None else by.start
        wish = wish._replace(start=start)
        if by.conditions:
            start, known = _conditions(config, artifact, by.conditions, wish.ticks)
            wish = wish._replace(conditions=known, start=start)
        if by.between:
            ends = (newest_window(artifact, readings(config, artifact, [str(file)])) for file in by.between)
            wish = wish._replace(between=(next(ends), next(ends)))
        check(artifact, wish, self._decoder)
        self._artifact, self._wish, self._count = artifact, wish, count

    def run(self, out: Path, console: Console, as_json: bool) -> None:
        """Write the file, a series after the other, each with a seed of its own; prints what it holds."""
        manifest, wish = self._artifact.manifest, self._wish
        names, cadence = manifest.measured, manifest.window.cadence_ms
        columns = {"series": "string", "time": TIME, **dict.fromkeys(names, "float64")}
        with progress(console, "generate", self._count) as made, writing(out, columns, manifest) as file:
            for number in range(self._count):
                values = generate(self._artifact, wish._replace(seed=wish.seed + number), self._decoder)
                time = wish.start + np.arange(len(values)) * cadence
                series = [f"generated-{wish.seed + number}"] * len(values)
                file.add({"series": series, "time": time, **dict(zip(names, values.T, strict=True))})
                made(number + 1)
        facts = {"out": str(out), "model": manifest.name, "version": manifest.version, "rows": file.rows}
        facts |= {"series": self._count, "ticks": wish.ticks, "seed": wish.seed}
        text = f"{out}: {self._count} series of {wish.ticks:,} ticks by {manifest.name} {manifest.version}"
        _tell(console, as_json, facts, [f"{text}, seed {wish.seed}; they are made up, none was measured"])


def _conditions(config: Config, artifact: Artifact, patterns: Sequence[str], ticks: int) -> tuple[int, Doubles]:
    """The first time (ms) and context channels of the first series in files; what is missing is as it was before."""
    names = artifact.manifest.conditions
    if not names:
        raise ConfigError(f"{artifact.label} knows no conditions: leave --conditions out")
    return by_tick(files.read(list(patterns), names, config.training.columns), artifact.manifest, ticks)


def by_tick(table: Table, manifest: Manifest, ticks: int) -> tuple[int, Doubles]:
    """The first series on its ticks: when it starts (ms), and values [L, M], the last of each tick or those before."""
    own = table.series == 0
    tick = table.time[own] // manifest.window.cadence_ms
    frame = pd.DataFrame(table.values[own], index=tick).groupby(level=0).last()
    every = frame.reindex(np.arange(frame.index[0], frame.index[0] + ticks)).ffill().bfill()
    return int(frame.index[0]) * manifest.window.cadence_ms, every.to_numpy(np.float64)


def _tell(console: Console, as_json: bool, facts: dict[str, Any], lines: Sequence[str]) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
        return
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
