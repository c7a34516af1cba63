"""`make hostile`: good readings of a small fleet among hostile records of every kind, on a real broker.

    python -m tests.hostile --records 1000000 --seed 0

One half is served with a mapping that is strict about unknown channels, the other half with one that is not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.hostile.run import Found, Run
from tests.kafka.broker import Broker


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = []
    with Broker() as broker:
        for strict in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                run = Run(f"kafka://{broker.address}", Path(folder), options.records // 2, options.seed, strict)
                found.append(run.finish())
            for table in tables(found[-1]):
                Console().print(table)
    published = sum(one.published.total() for one in found)
    equal, undisturbed = all(one.equal for one in found), all(one.undisturbed for one in found)
    print(f"{published} records; {'each met its fate' if equal else 'not each met its fate'}")
    print(
        "no process was started again" if undisturbed else "a process was started again, or did not count all records"
    )
    return 0 if equal and undisturbed else 1


def tables(found: Found) -> Iterator[Table]:
    """Records by kind; what was compared; what it took."""
    kinds = Table("kind", "fate", "records", "as expected", title="strict" if found.strict else "not strict")
    for (kind, fate), count in sorted(found.published.items()):
        kinds.add_row(escape(kind), fate, f"{count:,}", f"{count - found.missed[kind, fate]:,}")
    for (kind, fate), count in (found.missed - found.published).items():
        kinds.add_row(escape(kind), fate, "0", f"[red]{count:,}[/]")
    yield kinds
    equal = Table("", "compared", "lost", "doubled", "different")
    for kind, one in found.compared.items():
        equal.add_row(kind, *(f"{number:,}" for number in one))
    yield equal
    hostile = found.published.total() - found.good
    cost = Table("", "records", "CPU us a record", "peak MB", "transactions that failed")
    for name, count, cpu_s, served in (
        ("good", found.good, found.alone.cpu_s, found.alone),
        ("hostile, beside them", hostile, found.mixed.cpu_s - found.alone.cpu_s, found.mixed),
    ):
        cost.add_row(
            name, f"{count:,}", f"{cpu_s / max(count, 1) * 1e6:.1f}", f"{served.peak_mb:.0f}", str(served.failed)
        )
    yield cost


if __name__ == "__main__":
    sys.exit(main())
