"""`make faults`: faults by the hundred on three real brokers, and what they did to what was published.

    python -m tests.faults --runs 40 --out build/faults.jsonl
    python -m tests.faults --seed 17 --runs 1

The first goes on where an earlier call was ended; the second runs one seed once more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from tests.faults.faults import FAULTS
from tests.faults.run import Found, Run
from tests.kafka.cluster import Cluster

A_RUN = 13  # faults


def order(seeds: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
    """The faults of each run: each fault as often as any other over all of them, in an order that the seed gives."""
    names = list(FAULTS)
    for seed in seeds:
        chosen = [names[(seed * A_RUN + at) % len(names)] for at in range(A_RUN)]
        Random(seed).shuffle(chosen)
        yield seed, chosen


def run(cluster: Cluster, seed: int, names: Iterable[str], say: Console) -> Found:
    """One seeded run. Raises AssertionError where it does not come to an end."""
    with tempfile.TemporaryDirectory() as folder, Run(cluster, seed, Path(folder)) as one:
        for name in names:
            met = one.meet(name, FAULTS[name])
            say.print(f"seed {seed}: {name}, {met.lasted_s:.1f} s, caught up after {met.recovery_s:.1f} s")
        return one.finish()


def main() -> int:
    """The command."""
    options = _options()
    known, failed = _known(options.out), []
    wanted = range(options.seed, options.seed + options.runs)
    say = Console(stderr=True)
    with Cluster() as cluster:
        for seed, names in order([seed for seed in wanted if seed not in known]):
            try:
                known[seed] = run(cluster, seed, options.only or names, say)
            except Exception:
                failed.append(seed)
                say.print(f"seed {seed} failed\n{traceback.format_exc()}", markup=False)
                continue
            if options.out:
                with options.out.open("ab") as file:
                    file.write(msgspec.json.encode(known[seed]) + b"\n")
    found = [known[seed] for seed in wanted if seed in known]
    for table in tables(found):
        Console().print(table)
    unequal = [one.seed for one in found if not one.equal]
    print(f"{len(found)} runs; failed: {failed or 'none'}; not equal: {unequal or 'none'}")
    return 1 if failed or unequal else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--only", choices=list(FAULTS), action="append", help="these faults, in this order")
    parser.add_argument("--out", type=Path, help="a line of JSON a run; runs that are in it are not run again")
    options = parser.parse_args()
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
    return options


def _known(file: Path | None) -> dict[int, Found]:
    if file is None or not file.exists():
        return {}
    lines = file.read_bytes().splitlines()
    return {one.seed: one for one in (msgspec.json.decode(line, type=Found) for line in lines)}


def tables(found: Sequence[Found]) -> Iterator[Table]:
    """Faults and how long it took to catch up; what was compared; how workers ended."""
    times: dict[str, list[float]] = {name: [] for name in FAULTS}
    for met in (met for one in found for met in one.met):
        times[met.fault].append(met.recovery_s)
    table = Table("fault", "met", "caught up after s, p50", "p95")
    for name, seconds in [*times.items(), ("all", [second for each in times.values() for second in each])]:
        if seconds:
            p50, p95 = np.percentile(seconds, [50, 95])
            table.add_row(name, str(len(seconds)), f"{p50:.1f}", f"{p95:.1f}")
    yield table
    kinds = Table("", "compared", "lost", "doubled", "different")
    for kind in found[0].compared if found else ():
        sums = np.sum([one.compared[kind] for one in found], axis=0)
        kinds.add_row(kind, *(str(value) for value in sums))
    yield kinds
    ends = Table("exit code of a worker", "times")
    for code in sorted({code for one in found for code in one.ends}):
        ends.add_row(str(code), str(sum(one.ends.get(code, 0) for one in found)))
    yield ends


if __name__ == "__main__":
    sys.exit(main())
