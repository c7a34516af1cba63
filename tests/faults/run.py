"""A run: workers of one group on a real cluster, faults one after another, and the comparison with an undisturbed run.

While a seeded fleet is published, faults are met in a seeded order. Then the same readings are served once more by one
process that nobody disturbs. Alerts, windows and dead letters must be equal: none lost, none doubled, none different.
Versions that are promoted on the way hold the same graph, so that all but the version's name must be equal, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from streamae.errors import StreamaeError
from streamae.topics import open_store
from streamae.topics.topics import Output, Writer
from tests.faults.workers import PATIENCE_S, Worker, Workers
from tests.graphs import tiny_artifact
from tests.kafka.cluster import Cluster
from tests.serving.fleet import LENGTH, SETTINGS, STRIDE, fleet_log
from tests.serving.outcome import Compared, Outcome
from tests.serving.stand import Stand, wait_for

PER_SECOND = 300
TICKS = 6_000  # of the log: seven minutes of it
WARM = 100  # readings in each partition, before anything happens
PARTITIONS = 4


@dataclass
class Met:
    """A fault that was met."""

    fault: str
    lasted_s: float
    recovery_s: float  # from its end until all that had been published by then was committed


@dataclass
class Found:
    """What became of a run."""

    seed: int
    met: list[Met] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)  # exit codes of workers
    compared: dict[str, Compared] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether nothing was lost, doubled or different."""
        return bool(self.compared) and all(one.equal for one in self.compared.values())


class Run:
    """One run, within a `with`."""

    def __init__(self, cluster: Cluster, seed: int, folder: Path) -> None:
        self.cluster = cluster
        self.random = Random(seed)
        self.found = Found(seed)
        changes = {**SETTINGS, "serving": {"commit_interval_ms": 50, "refresh_s": 0.5}}
        name = f"faults-{seed}-{time.time_ns() % 10**9}"
        self.stand = Stand(f"kafka://{cluster.address}", name, folder, PARTITIONS, changes)
        self.promote()
        self.publisher = Publisher(cluster.direct, self.batches(), PER_SECOND)
        self.workers = Workers(self.stand, ("a", "b", "c"))

    def __enter__(self) -> Self:
        try:
            for worker in self.workers.each[:2]:
                self.workers.start(worker)
            wait_for(self.workers.settled, PATIENCE_S)
            self.publisher.start()
            wait_for(lambda: min(self._ends().values()) > WARM, PATIENCE_S)
            self._caught_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        self.workers.close()
        self.publisher.stop()
        self.stand.close()

    def promote(self) -> str:
        """Register the same graph as another version, and make it champion."""
        return self.stand.champion(tiny_artifact(length=LENGTH, stride=STRIDE))

    def batches(self) -> Iterable[list[Output]]:
        """What is published, a batch after another."""
        log, size = fleet_log(self.stand.config.topics.readings, self.found.seed, TICKS), PER_SECOND // 20
        return (log[first : first + size] for first in range(0, len(log), size))

    @property
    def serving(self) -> list[Worker]:
        """The workers that are meant to run."""
        return [worker for worker in self.workers.each if worker.wanted]

    def worker(self) -> Worker:
        """One of the workers that run."""
        return self.random.choice(self.serving)

    def meet(self, name: str, fault: Callable[[Run], None]) -> Met:
        """Have a fault happen, and wait until all that was published before its end is committed."""
        began = time.monotonic()
        fault(self)
        ended = time.monotonic()
        self._caught_up()
        met = Met(name, ended - began, time.monotonic() - ended)
        self.found.met.append(met)
        wait_for(self.workers.settled, PATIENCE_S)
        return met

    def finish(self) -> Found:
        """Serve to the end, and once more undisturbed."""
        self.publisher.stop()
        self._caught_up()
        for worker in self.serving:
            self.workers.leave(worker)
        self.workers.check()
        self.stand.published = sum(self._ends().values())
        undisturbed = self.stand.twin(url=f"kafka://{self.cluster.direct}")
        undisturbed.serve_all(PATIENCE_S + self.stand.published / 100)
        wanted = Outcome.of(undisturbed, versions=False)
        undisturbed.close()
        self.found.compared = Outcome.of(self.stand, versions=False).against(wanted)
        self.found.ends = dict(self.workers.ends)
        return self.found

    def _caught_up(self) -> None:
        ends = self._ends()

        def reached() -> bool:
            self.workers.check()
            committed = self.cluster.committed(self.stand.name)
            return all(committed.get(partition, 0) >= end for partition, end in ends.items())

        wait_for(reached, PATIENCE_S)

    def _ends(self) -> dict[int, int]:
        return self.cluster.ends(self.stand.config.topics.readings, PARTITIONS)


class Publisher:
    """Publishes at a pace, past the proxies; what a broker may not have taken is published again."""

    def __init__(self, brokers: str, batches: Iterable[list[Output]], per_second: float) -> None:
        self.per_second = per_second  # records; may be changed meanwhile
        self._brokers = brokers
        self._batches = batches
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="publisher")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Publish no more."""
        if self._thread.is_alive():
            self._over.set()
            self._thread.join()

    def _publish(self) -> None:
        with open_store(f"kafka://{self._brokers}") as store:
            writer = store.writer()
            for batch in self._batches:
                due = time.monotonic() + len(batch) / self.per_second
                while not self._written(writer, batch):
                    pass
                if self._over.wait(max(due - time.monotonic(), 0)):
                    return

    def _written(self, writer: Writer, records: list[Output]) -> bool:
        with suppress(StreamaeError):
            writer.write(records)
            return True
        return self._over.is_set()
