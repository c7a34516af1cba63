"""A soak: workers at half load for a long time, a fault a minute, and what becomes of their memory meanwhile."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Self

from streamae.topics.topics import Output
from tests.faults.faults import FAULTS
from tests.faults.run import PER_SECOND, Found, Run
from tests.faults.workers import Worker
from tests.kafka.cluster import Cluster
from tests.serving.fleet import endless_log
from tests.soak.samples import Fault, Idle, Load, Notes, Outputs, Sampler, cpu_s

PUMPS = 500
FIRST = -1_000_000  # the tick with which the log begins: event time is faster than the clock, and never ahead of it
BURST_S, FAULT_EVERY_S, IDLE_S = 15.0, 60.0, 30.0


class Soak(Run):
    """One soak, within a `with`. The first worker is never killed, stopped or sent away: it meets all else."""

    def __init__(self, cluster: Cluster, seed: int, folder: Path, notes: Notes) -> None:
        super().__init__(cluster, seed, folder)
        self._notes = notes
        self._sampling = ExitStack()

    def __enter__(self) -> Self:
        super().__enter__()
        self._sampling.enter_context(Sampler(self._notes, self.workers.each, self._behind))
        return self

    def close(self) -> None:
        """Leave nothing behind."""
        self._sampling.close()
        super().close()

    def batches(self) -> Iterable[list[Output]]:
        """What is published: a fleet's readings, tick after tick."""
        return endless_log(self.stand.config.topics.readings, self.found.seed, PUMPS, FIRST)

    def worker(self) -> Worker:
        """One of the workers that run, but not the first."""
        return self.random.choice(self.serving[1:])

    def find_load(self) -> None:
        """Publish as fast as it goes for some seconds; from then on, half of what was taken."""
        before, began = self._published(), time.monotonic()
        self.publisher.per_second = math.inf
        _pass(BURST_S)
        self.publisher.per_second = PER_SECOND
        count = self._published() - before
        self._caught_up()
        most = count / (time.monotonic() - began)
        self.publisher.per_second = most / 2
        self._notes.add(Load(most, most / 2))

    def go_on(self, minutes: float) -> None:
        """Meet a fault a minute, each as often as any other, in an order that the seed gives."""
        names = list(FAULTS)
        Random(self.found.seed).shuffle(names)
        began = time.monotonic()
        for number, name in enumerate(cycle(names), 1):
            rest = began + min(number * FAULT_EVERY_S, minutes * 60) - time.monotonic()
            _pass(max(rest, 0))
            if time.monotonic() >= began + minutes * 60:
                return
            at = self._notes.at()
            met = self.meet(name, FAULTS[name])
            self._notes.add(Fault(at, name, met.lasted_s, met.recovery_s))

    def finish(self) -> Found:
        """Look at the workers while nothing is published; then serve to the end, and once more undisturbed."""
        self.publisher.stop()
        self._caught_up()
        used = [(worker, cpu_s(worker.process.pid)) for worker in self.serving]
        _pass(IDLE_S)
        for worker, before in used:
            self._notes.add(Idle(worker.name, (cpu_s(worker.process.pid) - before) / IDLE_S))
        self._sampling.close()
        found = super().finish()
        for kind, compared in found.compared.items():
            self._notes.add(Outputs(kind, *compared))
        return found

    def _behind(self) -> int:
        committed = sum(self.cluster.committed(self.stand.name).values())
        return self._published() - committed

    def _published(self) -> int:
        return sum(self._ends().values())


def _pass(seconds: float) -> None:
    threading.Event().wait(seconds)
