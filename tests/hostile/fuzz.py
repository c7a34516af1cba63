"""`make fuzz`: changes bytes, keeps what reaches new lines of our own Python, and holds every contract against it.

    python -m tests.hostile.fuzz --minutes 60
    python -m tests.hostile.fuzz --only records --minutes 10
    python -m tests.hostile.fuzz --only records --input build/fuzz/found/records-crash-...

The corpus stays in build/fuzz, so that a later call goes on from there.
"""

from __future__ import annotations

import argparse
import importlib
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from tests.hostile.contracts import CONTRACTS

FOLDER = Path("build/fuzz")
MOST_MB = 2048  # of memory
SLOWEST_S = 20  # of one input
SLICE_S = 120  # of one process: under the fuzzer, though not without it, memory grows by some 700 bytes an input
TOUCHED = re.compile(rb"cov: (\d+) ft: (\d+) corp: (\d+)")


class Fuzzed(NamedTuple):
    """What became of one contract."""

    name: str
    runs: int
    cpu_s: float
    lines: int  # edges of our own Python that were reached
    corpus: int
    found: tuple[str, ...]  # inputs that broke the promise


def fuzz(name: str, seconds: int) -> Fuzzed:
    """Fuzz one contract in processes of its own, one after the other; it ends at the first finding."""
    corpus, found, log = FOLDER / name, FOLDER / "found", FOLDER / f"{name}.log"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(CONTRACTS[name].seeds):
        (corpus / f"seed-{at}").write_bytes(seed)
    tokens = FOLDER / f"{name}.dict"
    tokens.write_text("".join(f'"{_quoted(token)}"\n' for token in CONTRACTS[name].tokens))
    before, known = _cpu_s(), set(found.iterdir())
    limits = [f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MOST_MB}"]
    places = [f"-dict={tokens}", f"-artifact_prefix={found}/{name}-", str(corpus)]
    command = [sys.executable, "-m", "tests.hostile.fuzz", "--one", name, "--", *places]
    runs = edges = kept = 0
    for at in range(0, seconds, SLICE_S):
        last = f"-max_total_time={min(SLICE_S, seconds - at)}"
        with log.open("wb") as out:
            subprocess.run([*command, *limits, last], stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False)
        said = log.read_bytes()
        edges, _, kept = [*map(int, ([*TOUCHED.findall(said)] or [(0, 0, 0)])[-1])]
        runs += max((int(number) for number in re.findall(rb"^#(\d+)", said, re.MULTILINE)), default=0)
        if {*found.iterdir()} - known:
            break
    return Fuzzed(name, runs, _cpu_s() - before, edges, kept, tuple(sorted(map(str, {*found.iterdir()} - known))))


def one(name: str, arguments: Sequence[str]) -> None:
    """Hold one contract against what libFuzzer brings; never returns."""
    import atheris

    with atheris.instrument_imports(include=["streamae"]):
        for module in [module for module in sys.modules if module.partition(".")[0] in ("streamae", "tests")]:
            del sys.modules[module]
        contracts = importlib.import_module("tests.hostile.contracts").CONTRACTS
    atheris.Setup([sys.argv[0], *arguments], contracts[name].holds)
    atheris.Fuzz()


def _quoted(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="for all contracts together")
    parser.add_argument("--only", choices=list(CONTRACTS), action="append", help="these contracts")
    parser.add_argument("--input", type=Path, help="hold the contract against this file alone")
    parser.add_argument("--one", choices=list(CONTRACTS), help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one, options.rest)
    names = options.only or list(CONTRACTS)
    if options.input:
        CONTRACTS[names[0]].holds(options.input.read_bytes())
        return 0
    began, found = time.monotonic(), []
    for at, name in enumerate(names):
        left = options.minutes * 60 - (time.monotonic() - began)
        found.append(fuzz(name, max(1, round(left / (len(names) - at)))))
    table = Table("contract", "executions", "CPU s", "edges reached", "corpus", "findings")
    for each in found:
        table.add_row(
            each.name, f"{each.runs:,}", f"{each.cpu_s:.0f}", *map(str, each[3:5]), "\n".join(each.found) or "0"
        )
    Console().print(table)
    return 1 if any(each.found for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
