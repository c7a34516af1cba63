"""`make family`: every kind of autoencoder, which is an objective on a backbone, trained, exported and measured.

    python -m tests.family                  on a small simulated fleet: parity, seconds, sizes, CPU a window
    python -m tests.family --real           on one labelled series of each family: VUS-PR, events found, false episodes

Both go on from what the file of `--out` holds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import track

from streamae.config.objectives import ObjectiveName
from tests.accuracy.judging import Row, earlier
from tests.accuracy.recordings import FAMILIES, development
from tests.family.kinds import BACKBONES, Kind, measure
from tests.family.real import judge
from tests.family.tables import by_kind, parts
from tests.real.recordings import missing

FOUND_BY = ("lstm", "transformer")  # whose accuracy is told


def main() -> None:
    """The command; prints tables."""
    options = _options()
    rows = earlier(options.out)
    done = [{**row["task"]} for row in rows]
    tasks = [task for task in _tasks(options) if task not in done]
    run: Callable[[dict[str, Any]], Row] = judge if options.real else measure
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as workers:
        for row in track(workers.map(run, tasks), "kinds", len(tasks), console=Console(stderr=True)):
            rows.append(row)
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        if row["error"]:
            print(f"failed: {row['task']}: {row['error']}")
    for title, table in (by_kind(rows) if options.real else parts(rows)).items():
        print(f"\n{title}\n{table.to_string()}")
    sys.exit(any(row["error"] for row in rows))


def _tasks(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    kinds = [Kind(backbone, name) for backbone in BACKBONES for name in get_args(ObjectiveName)]
    kinds = [kind for kind in kinds if options.only in (None, kind.objective, kind.backbone)]
    if not options.real:
        device = {} if options.device == "cpu" else {"device": options.device}
        yield from ({**kind._asdict(), **device} for kind in kinds)
        return
    if why := missing():
        sys.exit(why)
    for family in options.families.split(","):
        record = development([family])[0]
        for kind in (kind for kind in kinds if kind.backbone in FOUND_BY):
            yield {**kind._asdict(), "family": family, "series": record.series}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true", help="how well anomalies are found on labelled series")
    parser.add_argument("--families", default=",".join(FAMILIES), help="of labelled series")
    parser.add_argument("--only", help="this objective, or this backbone")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="cuda: scored there, too, and compared"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON of every row; goes on from what is there")
    options = parser.parse_args()
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    main()
