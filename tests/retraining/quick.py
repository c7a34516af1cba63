"""A plant whose model is trained in no time, and `streamae retrain` beside it as processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from streamae import config as configs
from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Manifest, Span
from streamae.registry import Registry
from streamae.retraining.runs import SCHEDULED, Record, Runs
from streamae.training.history import Gathered
from tests.graphs import tiny_artifact
from tests.serving.stand import toml

BASE_MS = 1_700_000_000_000
THRESHOLD = 0.9  # of a mean square; the readings have one of 0.25
TICKS, SERIES = 1200, ("m1", "m2")
CHANNELS = {"channel-0": "$.a", "channel-1": "$.b"}
MAIN = "from streamae.cli import main; main()"
STUB = """
import sys, types
job = types.ModuleType("streamae.training.job")
sys.modules["streamae.training.job"] = job  # no torch: a child starts in a second
from tests.retraining import quick
job.train = quick.train
"""


def frame(seed: int = 0, ticks: int = TICKS) -> pd.DataFrame:
    """Readings of machines that do nothing but tremble."""
    rng = np.random.default_rng(seed)
    parts = []
    for name in SERIES:
        part = pd.DataFrame(rng.normal(0, 0.5, (ticks, len(CHANNELS))), columns=list(CHANNELS))
        part.insert(0, "time", BASE_MS + np.arange(ticks, dtype=np.int64) * 1000)
        part.insert(0, "series", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def train(config: configs.Config, readings: Gathered, *, parent: Manifest | None = None) -> Artifact:
    """The tiny artifact, as if it had been trained on the readings: their last third is its judge span."""
    return judged(tiny_artifact(name=config.model, threshold=THRESHOLD), readings, parent.version if parent else None)


def judged(artifact: Artifact, readings: Gathered, parent: str | None = None) -> Artifact:
    """An artifact with a judge span."""
    first, last = int(readings.table.time.min()), int(readings.table.time.max()) + 1
    judge = Span(start=first + (last - first) * 2 // 3, end=last)
    spans = {"fit": Span(start=first, end=judge.start), "judge": judge}
    manifest = msgspec.structs.replace(artifact.manifest, spans=spans, parent=parent, budget_per_week=1.0)
    return replace(artifact, manifest=manifest)


@dataclass
class Plant:
    """A config on disk, history beside it, and its registry."""

    folder: Path
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)  # sections of the config

    def __post_init__(self) -> None:
        frame().to_parquet(self.folder / "history.parquet")
        self.path = self.folder / "plant.toml"
        self.write()

    def write(self, **changes: dict[str, Any]) -> None:
        """Write the config, with other sections."""
        self.changes |= changes
        sections: dict[str, Any] = {
            "service": "plant",
            "model": "tiny",
            "registry": "registry",
            "topics": {"store": "embedded://plant.db", "readings": "plant.readings"},
            "readings": {"channels": CHANNELS},
            "windows": {"cadence_s": 1.0, "length": 4, "stride": 2},
            "training": {"files": ["history.parquet"], "autoencoder": "pca", "baselines": []},
        }
        self.path.write_text(toml({**sections, **self.changes}).replace("'", '"'))

    @property
    def config(self) -> configs.Config:
        """As the command line loads it."""
        return configs.load(self.path)

    @property
    def registry(self) -> Registry:
        """Where versions are."""
        return Registry(self.config.registry)

    @property
    def record(self) -> Record:
        """What became of scheduled times."""
        return Runs(self.registry, "tiny").read()

    def scheduled(self) -> list[int]:
        """The scheduled times of all versions, in the order of the versions."""
        if "tiny" not in self.registry.models():
            return []
        versions = self.registry.versions("tiny")
        return [int(self.registry.load("tiny", version).manifest.report[SCHEDULED]) for version in versions]

    def left_aside(self) -> list[str]:
        """What a process that died left behind, half made."""
        return [path.name for path in (self.folder / "registry" / "tiny").glob(".new-*")]


class Retrain:
    """`streamae retrain` as a process; `prelude` is Python that is run before each of its children's command line."""

    def __init__(self, plant: Plant, name: str = "a", prelude: str = "") -> None:
        self.log = plant.folder / f"retrain-{name}.log"
        run = [sys.executable, "-c", f"{STUB}{prelude}\n{MAIN}"]
        code = (
            "from streamae.retraining import child; whole = child.command\n"
            f"child.command = lambda *run: [*{run!r}, *whole(*run)[3:]]\n{MAIN}"
        )
        self._line = [sys.executable, "-c", code, "retrain", str(plant.path)]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self._line, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def said(self) -> str:
        """What it and its children have said so far."""
        return self.log.read_text(errors="replace")

    def again(self) -> None:
        """Start it again."""
        self.process = self._start()

    def kill(self) -> None:
        """End it as a power cut would; its children are not asked."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def once(plant: Plant, *arguments: str, prelude: str = "", before: Any = None) -> subprocess.CompletedProcess[str]:
    """`streamae retrain --once` as a process, with the quick training."""
    line = [sys.executable, "-c", f"{STUB}{prelude}\n{MAIN}", "retrain", str(plant.path), "--once", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, preexec_fn=before)


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def now_ms() -> int:
    """The time of day."""
    return time.time_ns() // 1_000_000
