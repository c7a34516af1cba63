"""Recorded machines through a real topic: `make real`.

Trained on the prefix of each recording, the rest replayed through Kafka into `streamae serve`; the alerts are read
back and held against the labels. `fleet`: one artifact for all series of a set; `each`: one for every series.

    python -m tests.real --sets skab --autoencoders lstm,pca --modes fleet --json
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from tests.kafka.broker import Broker
from tests.real.figures import Facts, figures, table
from tests.real.recordings import SETS, DataSet, Recording, load, missing
from tests.real.replay import Outcome, Stage

AUTOENCODERS = ("lstm", "transformer", "pca")
MODES = ("fleet", "each")


def main() -> None:
    """Run what the options name; prints a table, or JSON."""
    options = _options()
    if missing():
        sys.exit(missing())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and service are stopped all the same
    say = Console(stderr=True)
    scratch = nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory(prefix="streamae-real-")
    rows = []
    began = time.monotonic()
    with Broker() as broker, scratch as folder:
        stage = Stage(f"kafka://{broker.address}", Path(folder))
        for row in _rows(stage, options):
            rows.append(row)
            done = f"{row['set']} {row['mode']} {row['autoencoder']}: {row['found']} of {row['events']} events found"
            say.print(f"{time.monotonic() - began:5.0f} s  {done}, {row['false']} false alerts", highlight=False)
            for why in dict.fromkeys(row["failed"].values()):
                names = ", ".join(series for series, own in row["failed"].items() if own == why)
                say.print(f"[red]failed[/] {names}: {why}", highlight=False, soft_wrap=True)
    if options.json:
        print(json.dumps(rows))
    else:
        Console(width=max(Console().width, 150)).print(table(rows))
    sys.exit(any(row["failed"] for row in rows))


def _rows(stage: Stage, options: argparse.Namespace) -> Iterator[Facts]:
    for name in options.sets:
        kind = SETS[name]
        recordings = load(kind, time.time_ns() // 1_000_000, options.series)
        for mode in options.modes:
            for autoencoder in options.autoencoders:
                outcome = _run(stage, kind, recordings, (mode, autoencoder))
                found = figures(kind, recordings, outcome)
                yield {"set": name, "mode": mode, "autoencoder": autoencoder, **found}


def _run(stage: Stage, kind: DataSet, recordings: list[Recording], how: tuple[str, str]) -> Outcome:
    mode, autoencoder = how
    if mode == "fleet":
        return stage.attempt(kind, recordings, "fleet", autoencoder)
    outcome = Outcome()
    for one in recordings:
        outcome.add(stage.attempt(kind, [one], one.name, autoencoder))
    return outcome


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.real", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    for name, known in (("sets", tuple(SETS)), ("autoencoders", AUTOENCODERS), ("modes", MODES)):
        parser.add_argument(f"--{name}", type=_some_of(known), default=known, help=f"some of {','.join(known)}")
    parser.add_argument("--series", type=int, help="at most so many series of a set")
    parser.add_argument("--folder", type=Path, help="keep histories, configs, registries and logs here")
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
