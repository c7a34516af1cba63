"""How well anomalies are found on labelled series: `make accuracy`.

Every candidate is trained on the prefix of each series, without labels, and scores all of it; VUS-PR holds the scores
against the labels. `--development` compares candidates on a few series of each family, and shows which one is chosen
for a family by the others alone. What the file of `--out` holds already is not run again: a run that was ended goes on
where it stood.

    python -m tests.accuracy --families tsbad_m,asd --autoencoders lstm,pca --seeds 0,1,2 --out accuracy.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import track

from tests.accuracy.judging import Candidate, Row, earlier, judge
from tests.accuracy.recordings import FAMILIES, development, records
from tests.accuracy.tables import by_family, costs, left_out_choice, served, spread
from tests.real.recordings import missing

AUTOENCODERS = ("lstm", "transformer", "pca", "memory", "kmeans", "neighbours")
TOGETHER = 8  # alike series that one process judges in a row: a graph of one structure is exported once
DEVELOPED = (
    Candidate("pca, 32 ticks", "pca", {"length": 32}),
    Candidate("pca", "pca"),
    Candidate("pca of rank 4", "pca", {"rank": 4}),
    Candidate("memory", "memory"),
    Candidate("lstm", "lstm"),
    Candidate("lstm, code of 4", "lstm", {"code": 4}),
    Candidate("transformer", "transformer"),
    Candidate("transformer, code of 4", "transformer", {"code": 4}),
    Candidate("kmeans", "kmeans"),
    Candidate("neighbours", "neighbours"),
)


def main() -> None:
    """Run what the options name; prints tables."""
    options = _options()
    if why := missing():
        sys.exit(why)
    chosen = (development if options.development else records)(options.families.split(","))
    rows = [] if options.check_causal else earlier(options.out)  # which says not whether that was looked at
    done = {(row["family"], row["series"], row["candidate"], row["seed"]) for row in rows}
    tasks = [
        (record, one, int(seed), options.check_causal)
        for one in _candidates(options)
        for record in sorted(chosen, key=lambda one: (-one.n_features, -one.train_rows))
        for seed in options.seeds.split(",")
        if (record.dataset, record.series, one.name, int(seed)) not in done
    ]
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as workers:
        judged = workers.map(judge, tasks, chunksize=max(min(TOGETHER, len(tasks) // (4 * options.jobs)), 1))
        for row in track(judged, "judging", len(tasks), console=Console(stderr=True)):
            rows.append(row)
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    _show(rows, options.development)
    sys.exit(any(row["error"] for row in rows))


def _candidates(options: argparse.Namespace) -> Sequence[Candidate]:
    if options.development:
        return DEVELOPED
    gate = {"baselines": ("pca",)}
    names = options.autoencoders.split(",")
    return [Candidate(name, name, gate if name in ("lstm", "transformer") else {}) for name in names]


def _show(rows: Sequence[Row], compared: bool) -> None:
    for row in rows:
        if row["error"]:
            print(f"failed: {row['family']} {row['series']} {row['candidate']}: {row['error']}")
    gated = served(rows)
    print("\nVUS-PR, mean of series\n" + by_family([*rows, *gated]).round(4).to_string())
    if len(found := spread(rows)):
        print("\nstandard deviation of the macro mean over seeds\n" + found.round(4).to_string())
    print("\nCPU\n" + costs(rows).round(1).to_string())
    if compared:
        for score in ("causal", "settled"):
            print(f"\nchosen by the other families, {score}\n" + left_out_choice(rows, score).round(4).to_string())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--autoencoders", default=",".join(AUTOENCODERS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--development", action="store_true", help="compare candidates on a few series of each family")
    parser.add_argument("--check-causal", action="store_true", help="score series cut short, too")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON of every series; goes on from what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
