"""Retraining every minute beside a service, with all that goes wrong: what each scheduled time came to.

    python -m tests.retraining.replicas                    on a real broker, started for it; about seven minutes
    python -m tests.retraining.replicas --every 30         faster, where training takes less than that

1. A minute at which nothing goes wrong.
2. kill -9 of `streamae retrain` in the middle of its run; it is started again at once.
3. It is down while the next minute passes, and is started again after it.
4. Two replicas at once.

Meanwhile readings are published, with a fault in every round, and `streamae serve` swaps versions by itself. At the end
every window is held against one service that served the same readings undisturbed: none may be lost, none scored twice.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from streamae.retraining.runs import Run, iso
from tests.kafka.broker import Broker
from tests.retraining.beside import Beside, Replica, Swaps, caught_up
from tests.serving.stand import Stand, wait_for

PATIENCE_S = 240.0  # for one run

Happened = dict[int, str]  # scheduled time -> what went wrong at it


def run(beside: Beside, every_s: int) -> Happened:
    """The story; what went wrong at which scheduled time."""
    assert beside.retrain("first", "--once").ended() == 0
    happened: Happened = {beside.record.runs[-1].scheduled_ms: "by hand, before all"}
    beside.serving()
    replica = beside.retrain("a")
    with beside.publishing(every_s=8.0):  # brokers refuse records whose time is more than an hour ahead
        happened[next_done(beside, {*happened})] = "nothing"
        happened[killed(beside, replica, {*happened})] = "kill -9 in the middle of the run"
        happened[slept_through(beside, replica, every_s, {*happened})] = "down while it passed"
        other = beside.retrain("b")
        happened[next_done(beside, {*happened})] = "two replicas at once"
        happened[next_done(beside, {*happened})] = "two replicas at once"
    assert [replica.stop(), other.stop()] == [0, 0]
    beside.round()
    caught_up(beside)
    assert beside.serve.stop() == 0
    return happened


def done(beside: Beside) -> list[Run]:
    """The runs that came to a result."""
    return [run for run in beside.record.runs if run.outcome in ("promoted", "kept", "failed")]


def next_done(beside: Beside, known: set[int]) -> int:
    """The next scheduled time that comes to a result."""
    wait_for(lambda: any(run.scheduled_ms not in known for run in done(beside)), PATIENCE_S)
    return max(run.scheduled_ms for run in done(beside))


def killed(beside: Beside, replica: Replica, known: set[int]) -> int:
    """Kill in the middle of a run, and start again."""
    said = replica.said().count("training tiny for")
    wait_for(lambda: replica.said().count("training tiny for") > said, PATIENCE_S)
    replica.kill()
    replica.again()
    return next_done(beside, known)


def slept_through(beside: Beside, replica: Replica, every_s: int, known: set[int]) -> int:
    """Be down while a scheduled time passes."""
    assert replica.stop() == 0
    passed = (int(time.time()) // every_s + 1) * every_s
    wait_for(lambda: time.time() > passed + 3, every_s + 10)
    replica.again()
    return next_done(beside, known)


def table(beside: Beside, happened: Happened, swaps: Swaps) -> Iterator[str]:
    """What became of each scheduled time, and of the stream."""
    alerts = Counter(version for version, _ in {(alert.version, alert.id) for alert in beside.stand.alerts()})
    registered = beside.scheduled()
    yield f"{'scheduled time':22}{'went wrong':34}registered  outcome     version    after  alerts by it"
    for entry in beside.record.runs:
        after = f"{(entry.ended_ms - entry.scheduled_ms) / 1000:.1f} s" if entry.ended_ms else ""
        count, wrong = len(registered.get(entry.scheduled_ms, [])), happened.get(entry.scheduled_ms, "")
        yield (
            f"{iso(entry.scheduled_ms)[:19]}Z  {wrong:34}{count:10}  {entry.outcome:10}  "
            f"{entry.version or '':7} {after:>8}  {alerts[entry.version or '']:12}"
        )
    yield f"served, in this order: {', '.join(beside.served())}"
    yield f"windows {swaps.windows}: lost {swaps.lost}, scored twice {swaps.doubled}"
    yield f"alerts {swaps.alerts}: doubled {swaps.alerts_doubled}; faults {swaps.faults}: unseen {swaps.faults_unseen}"
    yield f"scheduled times missed {beside.record.missed}, overlapped {beside.record.overlapped}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=60, help="seconds between scheduled times")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        given = os.environ.get("STREAMAE_TEST_KAFKA")
        url = f"kafka://{given or stack.enter_context(Broker()).address}"
        changes = {"retraining": {"every_s": float(arguments.every)}}
        beside = Beside(Stand(url, f"month-{uuid.uuid4().hex[:8]}", folder, changes=changes))
        stack.callback(beside.close)
        happened = run(beside, arguments.every)
        swaps = beside.swaps()
        print("\n".join(table(beside, happened, swaps)))
        results = {time: len(versions) for time, versions in beside.scheduled().items()}
    right = set(results) == set(happened) and set(results.values()) == {1}
    return 0 if right and not (swaps.lost or swaps.doubled or swaps.alerts_doubled) else 1


if __name__ == "__main__":
    sys.exit(main())
