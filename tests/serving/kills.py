"""kill -9 of `streamae serve` at seeded random moments, held against a run that nobody disturbed.

    python -m tests.serving.kills --kills 20 --seed 0             on a real broker, started for it
    python -m tests.serving.kills --kills 20 --store embedded

A seeded fleet is published while the process runs, is killed with SIGKILL and is started again at once. Then the same
readings are served once more, in one piece. Alerts (every byte), windows (every bit of their scores) and dead letters
must be equal: none lost, none doubled, none different.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np

from streamae.topics.topics import Output
from tests.graphs import tiny_artifact
from tests.kafka.broker import Broker
from tests.serving.fleet import LENGTH, SETTINGS, STRIDE, USES, fleet_log
from tests.serving.outcome import Compared, Outcome
from tests.serving.process import Process
from tests.serving.stand import Stand, wait_for

PHASES = ("starting", "restoring", "running", "running")
RESTART = 70


@dataclass
class Kill:
    """One kill -9."""

    at_s: float  # since the first start
    lived_s: float
    state: str
    recovery_s: float | None = None  # until all partitions ran again; None where it was killed before that


@dataclass
class Report:
    """What became of a run."""

    kills: list[Kill] = field(default_factory=list)
    restarts: int = 0  # exits with 70, by itself
    compared: dict[str, Compared] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether nothing was lost, doubled or different."""
        return all(compared.equal for compared in self.compared.values())


class Killing:
    """Kills a process again and again, and starts it again at once."""

    def __init__(self, process: Process, random: Random) -> None:
        self.report = Report()
        self._process = process
        self._random = random
        self._began = self._started = time.monotonic()
        self._process.start()

    def kill(self) -> None:
        """Let it live until a random moment of a random phase, then kill it."""
        phase = self._random.choice(PHASES)
        if phase == "starting":
            self._live(self._random.uniform(0.1, 1.5))
        elif phase == "restoring":
            self._live_until("joining", "restoring", "running")
            self._live(self._random.uniform(0, 0.3))
        else:
            self._live_until("running")
            self._live(self._random.uniform(0, 2.5))
        state = self._process.state()
        self._process.kill()
        now = time.monotonic()
        self.report.kills.append(Kill(now - self._began, now - self._started, state))
        self._start()

    def live_on(self) -> None:
        """Let it come to run."""
        self._live_until("running")

    def _start(self) -> None:
        self._started = time.monotonic()
        self._process.start()

    def _live(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        wait_for(lambda: bool(self._look()) and time.monotonic() >= until, seconds + 30)

    def _live_until(self, *states: str) -> None:
        wait_for(lambda: self._look() in states, 60)

    def _look(self) -> str:
        """Its state; what has ended by itself, to be started again, is started again."""
        code = self._process.exit_code
        if code is not None:
            assert code == RESTART, f"exit code {code}:\n{self._process.said()[-3000:]}"
            self.report.restarts += 1
            self._start()
        state = self._process.state()
        kills = self.report.kills
        if state == "running" and kills and kills[-1].recovery_s is None and code is None:
            kills[-1].recovery_s = time.monotonic() - self._started
        return state


def run(stand: Stand, kills: int, seed: int, prelude: str = "") -> Report:
    """The whole story on a stand; `prelude` is Python that breaks the process on purpose."""
    stand.changes = {**SETTINGS, **USES, **stand.changes}
    stand.changes["serving"] = {"commit_interval_ms": 50, "refresh_s": 0.5, **stand.changes["serving"]}
    stand.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    log = fleet_log(stand.config.topics.readings, seed, ticks=200 + 80 * kills)
    process = Process(stand, prelude)
    try:
        killing = Killing(process, Random(seed))
        with published(stand, log, per_second=450):
            for _ in range(kills):
                killing.kill()
            killing.live_on()
        wait_for(lambda: process.committed() >= len(log), 60)
        assert process.stop() == 0
    finally:
        process.close()
    undisturbed = stand.twin()
    undisturbed.serve_all(60)
    wanted = Outcome.of(undisturbed)
    undisturbed.close()
    killing.report.compared = Outcome.of(stand).against(wanted)
    return killing.report


@contextmanager
def published(stand: Stand, log: list[Output], per_second: int) -> Iterator[None]:
    """Publish a log at a pace meanwhile; what is left is published at once at the end."""
    hurry, failed = threading.Event(), []
    last, size = len(log) * 9 // 10, max(per_second // 20, 1)

    def publish() -> None:
        writer = stand.store.writer()
        try:
            for first in range(0, last, size):
                writer.write(log[first : min(first + size, last)])
                hurry.wait(size / per_second)
            hurry.wait()
            writer.write(log[last:])
        except BaseException as error:
            failed.append(error)
        finally:
            writer.close()

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        hurry.set()
        thread.join(60)
    assert not failed, failed
    stand.published += len(log)


def table(report: Report) -> Iterator[str]:
    """The report for people."""
    yield "kill   at (s)   lived (s)   while       running again after (s)"
    for number, kill in enumerate(report.kills, 1):
        again = "-" if kill.recovery_s is None else f"{kill.recovery_s:.2f}"
        yield f"{number:4} {kill.at_s:8.1f} {kill.lived_s:11.2f}   {kill.state:10}  {again:>8}"
    recoveries = [kill.recovery_s for kill in report.kills if kill.recovery_s is not None]
    p50, p95 = np.percentile(recoveries or [0.0], [50, 95])
    yield f"running again: p50 {p50:.2f} s, p95 {p95:.2f} s; exits with 70: {report.restarts}"
    yield "kind           compared   lost   doubled   different"
    for kind, (compared, lost, doubled, different) in report.compared.items():
        yield f"{kind:14} {compared:8} {lost:6} {doubled:9} {different:11}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=["kafka", "embedded"], default="kafka")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"embedded://{folder / 'topics.db'}"
        if arguments.store == "kafka":
            given = os.environ.get("STREAMAE_TEST_KAFKA")
            url = f"kafka://{given or stack.enter_context(Broker()).address}"
        stand = Stand(url, f"killed-{uuid.uuid4().hex[:8]}", folder, partitions=4)
        stack.callback(stand.close)
        report = run(stand, arguments.kills, arguments.seed)
    print("\n".join(table(report)))
    return 0 if report.equal else 1


if __name__ == "__main__":
    sys.exit(main())
