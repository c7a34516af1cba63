"""Recorded machines through a real topic: `make real`.

Trained on the prefix of each recording, the rest replayed through Kafka into `streamae serve`; the alerts are read
back and held against the labels. `fleet`: one artifact for all series of a set; `each`: one for every series, several
at a time, so that their seconds add up to more than it takes.

    python -m tests.real --sets smap,msl --autoencoders pca --modes each --out figures.json
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track

from tests.kafka.broker import Broker
from tests.real.figures import Facts, figures, table
from tests.real.recordings import SETS, DataSet, Recording, load, missing
from tests.real.replay import Outcome, Stage

AUTOENCODERS = ("lstm", "transformer", "pca")
MODES = ("fleet", "each")
LONG = {("smap", "each", "transformer"), ("msl", "each", "transformer")}  # minutes more; where --autoencoders asks


def main() -> None:
    """Run what the options name; prints a table, or JSON."""
    options = _options()
    if why := missing(*(SETS[name] for name in options.sets)):
        sys.exit(why)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and service are stopped all the same
    say = Console(stderr=True)
    scratch = nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory(prefix="streamae-real-")
    found = []
    began = time.monotonic()
    with Broker() as broker, scratch as folder, _workers(options.workers) as workers:
        stage = Stage(f"kafka://{broker.address}", Path(folder))
        for row in _rows(stage, options, workers):
            found.append(row)
            if options.out:
                options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            say.print(f"{time.monotonic() - began:5.0f} s  {_news(row)}", highlight=False, soft_wrap=True)
    if options.json:
        print(json.dumps(found))
    else:
        Console(width=max(Console().width, 150)).print(table(found))
    sys.exit(any(row["failed"] for row in found))


@contextmanager
def _workers(count: int) -> Iterator[Executor]:
    """Processes that share the replays of a set of which every series has a model of its own."""
    workers = ProcessPoolExecutor(count, get_context("spawn"))
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)


def _rows(stage: Stage, options: argparse.Namespace, workers: Executor) -> Iterator[Facts]:
    for name in options.sets:
        kind = SETS[name]
        recordings = load(kind, time.time_ns() // 1_000_000, options.most, options.series)
        for mode, autoencoder in product(options.modes, options.autoencoders or AUTOENCODERS):
            if not options.autoencoders and (name, mode, autoencoder) in LONG:
                continue
            if mode == "fleet":
                outcome = stage.attempt(kind, recordings, "fleet", autoencoder)
            else:
                outcome = _each(stage, kind, recordings, (autoencoder, workers))
            found = figures(kind, recordings, outcome)
            yield {"set": name, "mode": mode, "autoencoder": autoencoder, **found}


def _each(stage: Stage, kind: DataSet, recordings: list[Recording], how: tuple[str, Executor]) -> Outcome:
    """A model for every series, and a service for every model."""
    autoencoder, workers = how
    waiting = [workers.submit(stage.attempt, kind, [one], one.name, autoencoder) for one in recordings]
    say = Console(stderr=True)
    outcome = Outcome()
    for done in track(waiting, f"{kind.name} {autoencoder}", console=say, transient=True, disable=not say.is_terminal):
        outcome.add(done.result())
    return outcome


def _news(row: Facts) -> str:
    """What came of a run, in a line; and what failed, a line for each reason."""
    lines = [
        f"{row['set']} {row['mode']} {row['autoencoder']}: {row['found']} of {row['events']} events found, "
        f"{row['false']} false alerts"
    ]
    for why in dict.fromkeys(row["failed"].values()):
        names = ", ".join(series for series, own in row["failed"].items() if own == why)
        lines.append(f"[red]failed[/] {names}: {escape(why)}")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.real", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    for name, known, usual in (
        ("sets", tuple(SETS), tuple(SETS)),
        ("autoencoders", AUTOENCODERS, ()),
        ("modes", MODES, MODES),
    ):
        parser.add_argument(f"--{name}", type=_some_of(known), default=usual, help=f"some of {','.join(known)}")
    parser.add_argument("--series", type=lambda text: text.split(","), default=(), help="only those of these names")
    parser.add_argument("--most", type=int, help="at most so many series of a set")
    parser.add_argument("--workers", type=int, default=2, help="replays at a time where every series has a model (2)")
    parser.add_argument("--folder", type=Path, help="keep histories, configs, registries and logs here")
    parser.add_argument("--out", type=Path, help="write all figures here as JSON, those of each series among them")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser.parse_args()


def _some_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(known)}")
        return names

    return chosen


if __name__ == "__main__":
    main()
