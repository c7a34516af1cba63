"""How fast `streamae score` is, beside ONNX Runtime alone on the same windows: in turns, within one run.

    python -m tests.history.speed --rows 1000000 --series 100 --rounds 5

Both run on one thread with the same session options, so that CPU seconds compare. The product reads a Parquet file,
makes windows, scores them and writes Parquet; the runtime is handed the windows. Only ratios within one run compare.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import streamae
from streamae.detection.artifact import Artifact
from streamae.detection.runtime import MICRO_BATCH
from streamae.detection.scoring import Scorer
from streamae.history.scoring import scored_windows
from streamae.history.stored import Stored
from streamae.history.writing import write_rows, write_windows
from streamae.training import files

CHANNELS = ("flow", "heat", "level", "speed")
BASE_MS = 1_790_000_000_000
SHOWN = 12  # functions of the profile
Facts = dict[str, Any]


@dataclass(frozen=True)
class Course:
    """What is scored, and with what."""

    artifact: Artifact
    file: Path
    windows: NDArray[np.float32]  # [B, T, C]
    profile: NDArray[np.float32]  # [B, 3, C]
    rows: int

    def product(self) -> None:
        """`streamae score`, from file to file."""
        table = files.read([str(self.file)], CHANNELS)
        write_windows(self.file.with_name("scores.parquet"), self.artifact, table)

    def each_row(self) -> None:
        """`streamae score --rows`, from file to file: a window a row."""
        table = files.read([str(self.file)], CHANNELS)
        write_rows(self.file.with_name("rows.parquet"), self.artifact, table)

    def runtime(self) -> None:
        """ONNX Runtime on the windows that `product` makes."""
        session = Scorer(self.artifact)._model
        for at in range(0, len(self.windows), MICRO_BATCH):
            some = slice(at, at + MICRO_BATCH)
            inputs = {"windows": self.windows[some], "profile": self.profile[some]}
            session.run(["error", "settled_error", "channel_error"], inputs)


def course(folder: Path, rows: int, series: int) -> Course:
    """Readings of so many series, a model trained on little, and the windows."""
    frame = readings(rows // series, series)
    few = frame[frame["series"].isin(["pump-0", "pump-1"])].groupby("series").head(3000)
    artifact = streamae.train(few, "lstm", steps=5, refit=False)
    frame.to_parquet(folder / "readings.parquet")
    table = files.read([str(folder / "readings.parquet")], CHANNELS)
    stored = Stored.of(table, artifact.manifest)
    parts = [part.windows for part in scored_windows(Scorer(artifact), stored)]
    names = [name for part in parts for name in part.series]
    windows = np.concatenate([part.values for part in parts])
    return Course(artifact, folder / "readings.parquet", windows, artifact.profiles.rows(names), len(frame))


def readings(ticks: int, series: int) -> pd.DataFrame:
    """Waves with noise, a reading a minute."""
    tick = np.arange(ticks)
    waves = np.stack([np.sin(tick / length) for length in (50, 17, 31, 90)], axis=1)
    draw = np.random.default_rng(0)
    values = (waves + draw.normal(0, 0.1, (series, ticks, len(CHANNELS)))).reshape(-1, len(CHANNELS))
    frame = pd.DataFrame(values, columns=list(CHANNELS))
    frame.insert(0, "time", np.tile(tick * 60_000 + BASE_MS, series))
    frame.insert(0, "series", np.repeat([f"pump-{at}" for at in range(series)], ticks))
    return frame


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def measure(on: Course, rounds: int, each_row: bool) -> Facts:
    """Product and runtime in turns; medians of CPU and wall seconds, and of the ratio of the two in each round."""
    works = {"score": on.product, "runtime": on.runtime} | ({"score --rows": on.each_row} if each_row else {})
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for at in range(rounds):
        for name in list(works)[:: 1 if at % 2 else -1]:
            taken[name].append(timed(works[name]))
    found: Facts = {"rows": on.rows, "windows": len(on.windows), "rounds": rounds}
    for name, seconds in taken.items():
        cpu, wall = (statistics.median(column) for column in zip(*seconds, strict=True))
        found[name] = {"cpu_s": round(cpu, 3), "wall_s": round(wall, 3), "rows_per_cpu_s": round(on.rows / cpu)}
    ratios = [alone[0] / ours[0] for ours, alone in zip(taken["score"], taken["runtime"], strict=True)]
    found["share_of_runtime"] = {
        "median": round(statistics.median(ratios), 3),
        "all": [round(one, 3) for one in ratios],
    }
    return found


def profile(on: Course) -> Facts:
    """The functions that take most of a run's time; calls per row say whether Python touches readings one by one."""
    profiler = cProfile.Profile()
    profiler.runcall(on.product)
    stats: dict[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    rows = [
        {"function": f"{Path(where).name}:{line}:{name}", "calls": calls, "own_s": round(own, 3)}
        for (where, line, name), (_, calls, own, *_) in stats.items()
    ]
    rows.sort(key=lambda row: -float(row["own_s"]))
    total = sum(float(row["own_s"]) for row in rows)
    most = max(rows, key=lambda row: int(row["calls"]))
    return {
        "total_s": round(total, 3),
        "most_calls_per_row": most["calls"] / on.rows,
        "most": most,
        "top": rows[:SHOWN],
    }


def render(found: Facts) -> Table:
    """The figures for people."""
    table = Table(
        "", "CPU s", "wall s", "rows per CPU s", title=f"{found['rows']:,} rows, {found['windows']:,} windows"
    )
    for name in ("score", "runtime", "score --rows"):
        if name in found:
            one = found[name]
            table.add_row(name, f"{one['cpu_s']:g}", f"{one['wall_s']:g}", f"{one['rows_per_cpu_s']:,}")
    share = found["share_of_runtime"]
    table.caption = f"score reaches {share['median']:.0%} of the runtime's speed ({share['all']})"
    return table


def main() -> None:
    """Measure and profile."""
    parser = argparse.ArgumentParser(prog="python -m tests.history.speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--each-row", action="store_true", help="measure `streamae score --rows` as well")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streamae-speed-") as folder:
        on = course(Path(folder), options.rows, options.series)
        found = measure(on, options.rounds, options.each_row)
        found["profile"] = profile(on)
    if options.json:
        json.dump(found, sys.stdout)
        return
    console = Console(width=110)
    console.print(render(found))
    table = Table("function", "calls", "own s", title="Profile of score")
    for row in found["profile"]["top"]:
        table.add_row(row["function"], f"{row['calls']:,}", f"{row['own_s']:g}")
    most = found["profile"]["most"]
    table.caption = f"most calls: {most['function']}, {found['profile']['most_calls_per_row']:.3f} a row"
    console.print(table)


if __name__ == "__main__":
    main()
