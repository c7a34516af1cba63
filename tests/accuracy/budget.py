"""Alert budgets on recorded machines: false episodes promised against seen, for each rule that makes thresholds.

A model for every series, fitted and calibrated on halves of its prefix without any label, for a budget of one false
episode in 10,000 rows; the rest is detected in by the code that serves. Errors are made once a series, and held against
the thresholds of every choice: rule, budget kept or not, windows in a row that fire.

    python -m tests.accuracy.budget --families asd,smd --autoencoder lstm --out figures.json

Alerts at most 32 rows apart are one episode; it is false where it touches no labelled event and 32 rows after. A series
is in budget with at most one false episode for each 10,000 rows begun. An alert that never ends finds whatever comes
after it: events found `afresh` are those of an alert that began no more than 32 rows before them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from streamae.config import LINEAR
from tests.accuracy.choices import CHOICES, END_MS, FAMILIES, Choice, Seen, seen
from tests.real.recordings import load, missing

WANTED = 0.85  # of the series in budget
HEADS = (
    *("series", "rows", "false /10k\npromised", "false /10k\nseen"),
    *("events", "recall", "afresh", "normal\nin alert", "series\nin budget"),
)


def _sum(each: Iterable[Seen]) -> Seen:
    return sum(each, Seen())


Found = dict[str, dict[Choice, Seen]]  # by family


def chosen(found: Found, without: str = "") -> Choice:
    """Of the choices that keep enough series in budget, the one that finds most; else the one that keeps most.

    One family may be left out, so that the choice can be judged on it.
    """
    others = [own for name, own in found.items() if name != without]
    totals = {choice: _sum(own[choice] for own in others) for choice in CHOICES}
    return max(CHOICES, key=lambda choice: (min(totals[choice].kept, WANTED), totals[choice].recall))


def left_out(found: Found) -> dict[str, tuple[Choice, Seen]]:
    """Each family under the choice that the others make."""
    made = {name: chosen(found, without=name) for name in found}
    return {name: (choice, found[name][choice]) for name, choice in made.items()}


def tables(found: Found) -> Iterable[Table]:
    """All families under each choice, each choice in each family, and each family under the choice of the others."""
    yield _table("All families", ((str(one), _sum(own[one] for own in found.values())) for one in CHOICES))
    cells = Table("", *found, title="By family: false /10k seen, recall, series in budget", title_justify="left")
    for one in CHOICES:
        each = [own[one] for own in found.values()]
        cells.add_row(str(one), *(f"{own.per_budget:.2f} {own.recall:.2f} {own.kept:.0%}" for own in each))
    yield cells
    others = left_out(found)
    rows = [(f"{name}: {choice}", own) for name, (choice, own) in others.items()]
    total = _sum(own for _, own in others.values())
    yield _table("Each family under the choice that the others make", [*rows, ("all", total)])


def _table(title: str, rows: Iterable[tuple[str, Seen]]) -> Table:
    table = Table("", *HEADS, title=title, title_justify="left")
    for name, own in rows:
        table.add_row(
            *(name, str(own.series), f"{own.rows:,}", "1", f"{own.per_budget:.2f}"),
            *(str(own.events), f"{own.recall:.2f}", f"{own.afresh / max(own.events, 1):.2f}"),
            *(f"{own.in_alert / max(own.normal, 1):.1%}", f"{own.kept:.0%}"),
        )
    return table


def main() -> None:
    """Run the families that the options name; prints tables, or writes figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.budget", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--families", type=lambda text: text.split(","), default=list(FAMILIES), help="some of them")
    parser.add_argument("--autoencoder", default=LINEAR)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--most", type=int, help="at most so many series of a family")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    kinds = [FAMILIES[name] for name in options.families]
    if why := missing(*kinds):
        sys.exit(why)
    found: Found = {}
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as workers:
        for kind in kinds:
            recordings = load(kind, END_MS, options.most)
            judged = workers.map(seen, repeat(kind), recordings, repeat(options.autoencoder))
            each = list(track(judged, kind.name, len(recordings), console=Console(stderr=True)))
            found[kind.name] = {choice: _sum(own[choice] for own in each) for choice in CHOICES}
    for table in tables(found):
        Console(width=max(Console().width, 180)).print(table)
    if options.out:
        facts = {name: {str(one): asdict(seen) for one, seen in own.items()} for name, own in found.items()}
        options.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
