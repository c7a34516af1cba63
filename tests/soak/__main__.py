"""`make soak`: workers at half load on three real brokers, a fault a minute; memory, descriptors, threads, CPU and lag.

    python -m tests.soak --minutes 60

Linux only: it looks at the workers in /proc. The file of samples is written as they come; a soak that is ended early
tells what it has.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.kafka.cluster import Cluster
from tests.soak.report import failures, tables
from tests.soak.samples import Notes
from tests.soak.soak import Soak


def main() -> int:
    """The command."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended early"))
    notes = Notes(options.out)
    try:
        with (
            Cluster() as cluster,
            tempfile.TemporaryDirectory() as folder,
            Soak(cluster, options.seed, Path(folder), notes) as soak,
        ):
            soak.find_load()
            soak.go_on(options.minutes)
            soak.finish()
    finally:
        for table in tables(notes.lines):
            Console().print(table)
    failed = failures(notes.lines)
    print("; ".join(failed) or "nothing is lost, doubled or different; descriptors and threads do not grow")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/soak.jsonl"), help="a line of JSON a sample")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
