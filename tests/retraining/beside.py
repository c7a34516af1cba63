"""`streamae retrain` beside `streamae serve` on one topic: what it publishes, who served, what was lost or doubled."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from streamae.detection.alerts import Alert
from streamae.registry import Registry
from streamae.retraining.runs import SCHEDULED, Record, Runs
from streamae.topics.topics import Output
from tests.serving.process import Process
from tests.serving.stand import Stand, at, reading, wait_for

PUMPS = [f"pump-{number}" for number in range(1, 5)]
HISTORY, ROUND = 1600, 80  # ticks
HOT_FROM, HOT_TICKS = 20, 12  # of a round, in which one pump is hot
FAR = 9.0  # that many standard deviations
SETTINGS: dict[str, dict[str, Any]] = {
    "windows": {"length": 8, "stride": 4, "max_lag_s": 30.0},
    "training": {"topic_days": 0.5, "autoencoder": "pca", "baselines": [], "rank": 4, "budget_per_week": 500.0},
    "serving": {"commit_interval_ms": 50, "refresh_s": 0.2},
}


class Hot(NamedTuple):
    """A fault that was published."""

    series: str
    first: int  # tick
    last: int


class Swaps(NamedTuple):
    """What came out, held against what should have."""

    windows: int
    lost: int
    doubled: int
    alerts: int
    alerts_doubled: int
    faults: int
    faults_unseen: int


@dataclass
class Beside:
    """A stand with readings on its topic; the model is trained on that topic, by processes as in production."""

    stand: Stand
    faults: list[Hot] = field(default_factory=list)
    ticks: int = 0

    def __post_init__(self) -> None:
        self.stand.changes = {**SETTINGS, **self.stand.changes}
        self.serve = Process(self.stand)
        self._replicas: list[Replica] = []
        self._random = np.random.default_rng(0)
        self._publish(HISTORY)

    @property
    def registry(self) -> Registry:
        """Where versions are."""
        return Registry(self.stand.config.registry)

    @property
    def record(self) -> Record:
        """What became of scheduled times."""
        return Runs(self.registry, "tiny").read()

    def retrain(self, name: str = "a", *arguments: str) -> Replica:
        """`streamae retrain`, started."""
        self._replicas.append(Replica(self.serve.config, self.stand.folder / f"retrain-{name}.log", arguments))
        return self._replicas[-1]

    def scheduled(self) -> dict[int, list[str]]:
        """The versions of each scheduled time."""
        found: dict[int, list[str]] = {}
        for version in self.registry.versions("tiny"):
            report = self.registry.load("tiny", version).manifest.report
            found.setdefault(int(report[SCHEDULED]), []).append(version)
        return found

    def served(self) -> list[str]:
        """The versions that have scored, in their order."""
        return sorted({row[-1] for row in self.stand.scores()})

    def swapped_to(self) -> set[str]:
        """The versions that the service says it has gone over to in all partitions."""
        found = Counter(re.findall(r"partition \d+: v\d+ -> (v\d+)", self.serve.said()))
        return {version for version, times in found.items() if times >= self.stand.partitions}

    def serving(self) -> None:
        """Start the service, and wait until it runs."""
        self.serve.start()
        wait_for(lambda: self.serve.state() == "running", 120)

    def round(self) -> None:
        """Publish some readings more, in which one pump is hot for a while."""
        hot = Hot(PUMPS[len(self.faults) % len(PUMPS)], self.ticks + HOT_FROM, self.ticks + HOT_FROM + HOT_TICKS)
        self._publish(ROUND, hot)
        self.faults.append(hot)

    @contextmanager
    def publishing(self, every_s: float) -> Iterator[None]:
        """Publish round after round meanwhile."""
        stop, failed = threading.Event(), list[BaseException]()

        def publish() -> None:
            try:
                while not stop.wait(every_s):
                    self.round()
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
        assert not failed, failed

    def swaps(self) -> Swaps:
        """Windows held against those of one service that nobody swapped anything in; alerts against the faults."""
        scored = Counter(row[:3] for row in self.stand.scores())
        undisturbed = self.stand.twin()
        undisturbed.serve_all(90)
        wanted = {row[:3] for row in undisturbed.scores()}
        undisturbed.close()
        assert len(wanted) > HISTORY
        alerts = self.stand.alerts()
        said = Counter((alert.id, alert.state) for alert in alerts)
        return Swaps(
            windows=len(wanted),
            lost=len(wanted - scored.keys()),
            doubled=sum(scored.values()) - len(scored) + len(scored.keys() - wanted),
            alerts=len({alert.id for alert in alerts}),
            alerts_doubled=sum(said.values()) - len(said),
            faults=len(self.faults),
            faults_unseen=sum(not seen(fault, alerts) for fault in self.faults),
        )

    def close(self) -> None:
        """Leave nothing behind."""
        for replica in self._replicas:
            replica.kill()
        self.serve.close()
        self.stand.close()

    def _publish(self, ticks: int, hot: Hot | None = None) -> None:
        values = self._random.normal(0, 1, (ticks, len(PUMPS))).round(3)
        topic, outputs = self.stand.config.topics.readings, list[Output]()
        for tick, row in enumerate(values.tolist(), start=self.ticks):
            for name, value in zip(PUMPS, row, strict=True):
                burning = hot is not None and name == hot.series and hot.first <= tick < hot.last
                value = value + FAR if burning else value
                outputs.append(Output(topic, name.encode(), reading(tick, value), None, (), at(tick)))
        self.stand.write(outputs)
        self.ticks += ticks


class Replica:
    """A process of `streamae retrain`."""

    def __init__(self, config: Path, log: Path, arguments: tuple[str, ...]) -> None:
        self._line = [sys.executable, "-m", "streamae", "retrain", str(config), *arguments]
        self.log = log
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self._line, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def again(self) -> None:
        """Start it again."""
        self.process = self._started()

    def said(self) -> str:
        """All that it and its children have said."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def ended(self, patience_s: float = 200) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(patience_s)


def seen(fault: Hot, alerts: list[Alert]) -> bool:
    """Whether an alert touches a fault."""
    return any(
        alert.series == fault.series
        and alert.start < at(fault.last)
        and (alert.end is None or alert.end > at(fault.first))
        for alert in alerts
    )


def caught_up(beside: Beside) -> None:
    """Wait until all that was published is committed."""
    wait_for(lambda: beside.serve.committed() >= beside.stand.published, 90)
