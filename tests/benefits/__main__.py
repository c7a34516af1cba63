"""`make uses`: cleaning, filling and generating on real series, beside what one would take in place of a model.

python -m tests.benefits
python -m tests.benefits --saits /somewhere/with/pypots/bin/python --out build/uses.json
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import track

from tests.benefits.series import FAMILIES
from tests.benefits.tasks import run
from tests.real.recordings import missing

TITLES = {
    "clean": "dB of added noise taken off readings that are not labelled; `said`: what the report had promised of lstm",
    "impute": "error of what is filled, in scales; of lstm also what it left unfilled, and how often 2 errors hold",
    "generate": "told apart from real windows by a forest (0.5: not at all); error of a forecast learnt from it",
}


def main() -> None:
    """The command; prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--only", choices=list(TITLES))
    parser.add_argument("--saits", type=Path, help="a Python that has PyPOTS, to compare with")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    absent = missing()
    if absent:
        raise SystemExit(absent)
    tasks = [(use, family, options.saits) for family in options.families.split(",") for use in TITLES]
    tasks = [task for task in tasks if options.only in (None, task[0])]
    os.environ["OMP_NUM_THREADS"] = "1"
    rows: dict[str, list[dict[str, Any]]] = {use: [] for use in TITLES}
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as workers:
        done = track(workers.map(run, tasks), "series", len(tasks), console=Console(stderr=True))
        for (use, *_), found in zip(tasks, done, strict=True):
            rows[use] += found
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    pd.set_option("display.width", 250, "display.max_columns", 30, "display.precision", 3)
    for use, found in rows.items():
        if found:
            print(f"\n{use}: {TITLES[use]}\n{pd.DataFrame(found).to_string(index=False)}")


if __name__ == "__main__":
    main()
