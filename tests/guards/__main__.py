"""`make guards`: every guard is taken out, one at a time, and the tests that hold it have to notice.

    python -m tests.guards --jobs 2
    python -m tests.guards --only P13 --only "network thread"

First all these tests run with every guard in its place; a test that fails there holds nothing. A guard is missed where
one of its tests does not fail without it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.guards.guard import Guard
from tests.guards.table import GUARDS, WITHOUT_A_GUARD
from tests.guards.trial import Result, trial
from tests.kafka.broker import Broker

say = Console(stderr=True, soft_wrap=True)


def sound(guards: Sequence[Guard], environment: Mapping[str, str]) -> list[Guard]:
    """The guards whose tests pass as things are, so that a failure without them means something."""
    tests = list(dict.fromkeys(test for guard in guards for test in guard.tests))
    results = trial(tests, lambda tree: None, environment)
    for test, result in results.items():
        if result.became != "passed":
            say.print(f"with every guard in its place, {test} {result.became}: {result.why}", markup=False)
    return [guard for guard in guards if all(results[test].became == "passed" for test in guard.tests)]


def without(guard: Guard, environment: Mapping[str, str]) -> dict[str, Result]:
    """What becomes of a guard's tests without it."""
    results = trial(guard.tests, guard.remove, environment)
    if noticed(guard, results):
        say.print(f"noticed: {guard.against}", markup=False)
    else:
        said = "\n".join(f"  {test} {result.became}: {result.why}" for test, result in results.items())
        say.print(f"MISSED: {guard.against}\n{said}", markup=False)
    return results


def noticed(guard: Guard, results: Mapping[str, Result]) -> bool:
    """Whether each of its tests has failed in the way that is expected."""
    if guard.hangs:
        return all(result.became == "hung" for result in results.values())
    return all(result.became == "failed" and re.search(guard.how, result.why) for result in results.values())


def report(found: Mapping[Guard, Mapping[str, Result]]) -> Table:
    """A row a guard: removed, and which test failed."""
    table = Table("guard against", "removed: which test failed", "how", show_lines=True)
    for guard, results in found.items():
        missed = "" if noticed(guard, results) else "[red]NOBODY NOTICED[/red]\n"
        names = "\n".join(f"{test.partition('::')[2]} {result.became}" for test, result in results.items())
        whys = dict.fromkeys(result.why[:160] for result in results.values() if result.why)
        table.add_row(escape(guard.against), missed + escape(names), escape("\n".join(whys)))
    for fault, why in WITHOUT_A_GUARD.items():
        table.add_row(fault, "no guard", why)
    return table


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="guards whose fault holds this word or these")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    wanted = "|".join(map(re.escape, options.only or [""]))
    guards = [guard for guard in GUARDS if re.search(rf"(?<!\w)(?:{wanted})(?!\w)", guard.against) or not options.only]
    with Broker() as broker, ThreadPoolExecutor(options.jobs) as pool:
        environment = {"STREAMAE_TEST_KAFKA": broker.address}
        tried = sound(guards, environment)
        found = dict(zip(tried, pool.map(lambda guard: without(guard, environment), tried), strict=True))
    Console(width=200).print(report(found))
    missed = [guard for guard, results in found.items() if not noticed(guard, results)]
    untried = len(guards) - len(tried)
    print(
        f"{len(tried)} guards removed, {len(missed)} not noticed; {untried} not tried: their tests fail with them, too"
    )
    return 1 if missed or untried else 0


if __name__ == "__main__":
    sys.exit(main())
