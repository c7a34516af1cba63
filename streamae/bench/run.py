"""The run: a full topic, then rounds of services with the parts alone between them, so that drift hits all alike."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from streamae import config as configs
from streamae.bench import load as loads
from streamae.bench.broker import PARTITIONS, Broker
from streamae.bench.figures import Case, Round, Served, StrideFigures, summed_up
from streamae.bench.load import Load
from streamae.bench.machine import machine, versions
from streamae.bench.model import LENGTH, config_text, named
from streamae.bench.parts import Alone
from streamae.bench.served import serve
from streamae.detection.artifact import Artifact
from streamae.detection.runtime import MICRO_BATCH
from streamae.detection.uses import Use
from streamae.errors import ConfigError, StreamaeError
from streamae.registry import Registry
from streamae.serving.child import free_port
from streamae.serving.made import TOPICS
from streamae.topics import open_store
from streamae.topics.topics import TopicSpec

OUTPUTS = ("alerts", "scores", "deadletters", "state", *TOPICS.values())


class Plan(NamedTuple):
    """What is measured."""

    store: str = "kafka://127.0.0.1:9092"
    series: int = 1000
    channels: int = 4
    strides: tuple[int, ...] = (16, 1)
    readings: int = 400_000
    rounds: int = 5
    uses: tuple[Use, ...] = ()  # each is measured by itself, and all together, at the first stride

    @property
    def cases(self) -> list[Case]:
        """What is served in each round."""
        several = [tuple(self.uses)] if len(self.uses) > 1 else []
        alone: list[tuple[Use, ...]] = [(use,) for use in self.uses]
        return [Case(stride) for stride in self.strides] + [Case(self.strides[0], uses) for uses in alone + several]

    def load(self, now_ms: int) -> Load:
        """The readings, so that the last one was measured by now. Raises ConfigError where they are too few."""
        least = min(self.series, self.channels, self.rounds, *self.strides)
        wrong = max(self.strides) > LENGTH or len(set(self.strides)) < len(self.strides)
        if least < 1 or wrong or self.readings < 2 * self.series:
            raise ConfigError(
                f"the bench needs different strides from 1 to {LENGTH}, two readings a series, a channel and a round; "
                f"not {', '.join(f'--{name} {value}' for name, value in self._asdict().items())}"
            )
        ticks = self.readings // self.series
        return Load(self.series, self.channels, ticks, now_ms // loads.CADENCE_MS - ticks - loads.STAGGER)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of a run; microseconds of another run or machine say nothing beside them."""

    note: str = "Only ratios within one run compare."
    machine: dict[str, str | int | float]
    versions: dict[str, str]
    load: dict[str, str | int]
    model: dict[str, str | int]
    rounds: int
    strides: list[StrideFigures]
    seconds: float


class Bench:
    """One run in a folder of its own. Everything that it makes on the broker is named after it, and removed.

    `tell` hears what has just been done. Raises ConfigError for a plan that cannot be measured, Unreachable.
    """

    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None]) -> None:
        self.load = plan.load(time.time_ns() // 1_000_000)
        self._plan = plan
        self._folder = folder.resolve()
        self._tell = tell
        self._name = f"streamae-bench-{uuid.uuid4().hex[:8]}"
        self._readings = f"{self._name}.readings"
        self._groups: list[str] = []
        self._broker = Broker(plan.store)
        with open_store(plan.store) as store:
            self._about = store.about()

    def run(self, artifact: Artifact) -> Result:
        """Measure the service of this model. Raises StreamaeError where a part fails or windows are missing."""
        began, busy = time.monotonic(), machine()
        for stride in self._plan.strides:
            self._register(named(artifact, f"stride-{stride}", stride))
        with open_store(self._plan.store) as store:
            store.create([TopicSpec(self._readings, PARTITIONS, {"retention.ms": "-1"})])
        try:
            size = self._broker.write(self._readings, loads.records(self.load))
            self._tell(f"{self.load.readings:,} readings of {size} bytes written")
            rounds = self._rounds(Alone(artifact, self.load, self._broker, self._readings))
        finally:
            self._broker.remove([self._readings], self._groups)
        plan = self._plan
        facts: dict[str, str | int] = {"series": plan.series, "channels": plan.channels, "partitions": PARTITIONS}
        return Result(
            machine=busy,
            versions=versions(),
            load={**facts, "readings": self.load.readings, "bytes": size, "broker": self._about},
            model={"autoencoder": artifact.manifest.autoencoder, "length": LENGTH, "micro_batch": MICRO_BATCH},
            rounds=plan.rounds,
            strides=[summed_up(case, rounds, self.load.readings) for case in plan.cases],
            seconds=round(time.monotonic() - began, 1),
        )

    def _rounds(self, alone: Alone) -> dict[Case, list[Round]]:
        """Parts alone, a service, parts alone, the next service, ...: each service has its parts on both sides."""
        found: dict[Case, list[Round]] = {case: [] for case in self._plan.cases}
        before = alone.measure()
        for number in range(1, self._plan.rounds + 1):
            for case in self._plan.cases:
                served = self._serve(case, number)
                after = alone.measure()
                found[case].append(Round(served, (before, after)))
                before = after
                self._tell(f"round {number}, stride {case.label}: {served.cpu_us:.1f} CPU us a reading")
        return found

    def _serve(self, case: Case, number: int) -> Served:
        """One service of its own name over the whole topic; every window that is due must have been scored."""
        service = f"{self._name}.{case.label}.{number}"
        self._groups.append(service)
        folder = self._folder / service
        folder.mkdir()
        names: dict[str, str | int] = {"service": service, "model": f"stride-{case.stride}", "http_port": free_port()}
        names |= {"registry": str(self._folder / "registry"), "store": self._plan.store, "readings": self._readings}
        path = folder / "streamae.toml"
        path.write_text(config_text(names, self.load, case), encoding="utf-8")
        config = configs.load(path)
        try:
            served = serve(config, folder, self.load.readings)
        finally:
            self._broker.remove([config.topic(kind) for kind in OUTPUTS])
        due = self.load.windows(LENGTH, case.stride)
        if served.windows != due:
            raise StreamaeError(f"{service} scored {served.windows} windows, {due} were due: its cost says nothing")
        return served

    def _register(self, artifact: Artifact) -> None:
        registry, model = Registry(str(self._folder / "registry")), artifact.manifest.name
        version = registry.register(artifact).manifest.version
        registry.promote(model, version, time.time_ns() // 1_000_000, "bench")
