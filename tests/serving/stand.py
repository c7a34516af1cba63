"""A stand for the service: a tiny champion, topics in either store, and what came out of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from streamae import config as configs
from streamae.detection.alerts import Alert
from streamae.detection.artifact import Artifact
from streamae.registry import Registry
from streamae.serving.outputs import PackedScores
from streamae.serving.service import Service
from streamae.topics import open_store
from streamae.topics.topics import Output, TopicSpec, TopicStore
from tests.graphs import tiny_artifact
from tests.topics.member import drain

CADENCE_MS = 1000
BASE_MS = int(time.time() - 3600) // 1000 * 1_000_000  # brokers delete records whose time is far off
HOT, CALM = 5.0, 0.0  # scales off the centre: a score of 6.25, and of 0


@dataclass
class Stand:
    """One service, its topics and its registry."""

    url: str
    name: str
    folder: Path
    partitions: int = 2
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)  # sections of the config
    readings: str = ""  # the topic; where none is named, one after the service
    open: Callable[[str], TopicStore] = open_store  # how the service comes to its topics

    def __post_init__(self) -> None:
        self.registry = Registry(self.folder / "registry")
        self.store = open_store(self.url)
        self.published = 0
        self.store.create([TopicSpec(self.config.topics.readings, self.partitions)])

    def twin(self, name: str = "undisturbed", **changes: Any) -> Stand:
        """Another service on the same readings, with topics of its own."""
        other = replace(self, name=f"{self.name}-{name}", readings=self.config.topics.readings, **changes)
        other.published = self.published
        return other

    @property
    def config(self) -> configs.Config:
        """The config, as the TOML file of a user would give it."""
        return configs.parse(self.toml(), self.folder)

    def toml(self, **serving: Any) -> str:
        """The TOML file of a user, with some keys of `serving`."""
        sections: dict[str, Any] = {
            "service": self.name,
            "model": "tiny",
            "registry": "registry",
            "topics": {"store": self.url, "readings": self.readings or f"{self.name}.readings"},
            "readings": {"channels": {"channel-0": "$.a", "channel-1": "$.b"}, "max_ahead_s": 1e9},
            "windows": {"cadence_s": CADENCE_MS / 1000, "length": 4, "stride": 2, "max_lag_s": 60.0},
            "serving": {"commit_interval_ms": 20, "refresh_s": 0.05, "http_port": 0, "scores": "packed"},
        }
        for section, keys in self.changes.items():
            sections[section] = {**sections.get(section, {}), **keys}
        sections["serving"] |= serving
        return toml(sections)

    def champion(self, artifact: Artifact | None = None) -> str:
        """Register an artifact and make it champion."""
        version = self.registry.register(artifact or tiny_artifact()).manifest.version
        self.registry.promote("tiny", version, 0, "for the test")
        return version

    def publish(self, records: list[tuple[str, int, float | None]], partition: int | None = None) -> None:
        """Write readings (series, tick, value of both channels)."""
        topic = self.config.topics.readings  # once: a config is parsed each time
        self.write(
            [
                Output(topic, name.encode(), reading(tick, value), partition, (), at(tick))
                for name, tick, value in records
            ]
        )

    def write(self, outputs: list[Output]) -> None:
        """Write records as they are."""
        writer = self.store.writer()
        writer.write(outputs)
        writer.close()
        self.published += len(outputs)

    def read(self, kind: str) -> list[tuple[int, bytes | None, bytes | None]]:
        """Everything committed on one of the service's topics: partition, key, value."""
        reader = self.store.reader(self.config.topic(kind), "earliest")
        found = [
            (records.partition, key, value)
            for records in drain(reader, 120)
            for key, value in zip(records.key, records.value, strict=True)
        ]
        reader.close()
        return found

    def alerts(self) -> list[Alert]:
        """All alerts, by series and then as they were published."""
        found = [msgspec.json.decode(value or b"", type=Alert) for _, _, value in self.read("alerts")]
        return sorted(found, key=lambda alert: alert.series)

    def scores(self) -> list[tuple[Any, ...]]:
        """All scored windows as (partition, series, start, score, version), sorted; doubles stay doubles."""
        rows = []
        for partition, _, value in self.read("scores"):
            packed = msgspec.msgpack.decode(value or b"", type=PackedScores)
            start, score = memoryview(packed.start).cast("q"), memoryview(packed.score).cast("d")
            rows += [(partition, *row, packed.version) for row in zip(packed.series, start, score, strict=True)]
        return sorted(rows)

    def serve_all(self, patience_s: float = 60.0) -> None:
        """Serve until everything that was published is committed, then stop."""
        with self.running() as service:
            wait_for(lambda: sum(service().committed.values()) >= self.published, patience_s)

    @contextmanager
    def running(self, create_topics: bool = True) -> Iterator[Callable[[], Service]]:
        """A service that runs in a thread meanwhile; what it raises is raised here."""
        stop, failed, services = threading.Event(), [], []

        def run() -> None:
            try:
                with self.open(self.url) as store:
                    services.append(Service(self.config, store, self.registry, create_topics))
                    services[0].run(stop)
            except BaseException as error:
                failed.append(error)
                stop.set()

        def service() -> Service:
            if failed:
                raise failed[0]
            wait_for(lambda: bool(services) or bool(failed))
            return services[0]

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield service
        finally:
            stop.set()
            thread.join(30)
        assert not thread.is_alive()
        if failed:
            raise failed[0]

    def close(self) -> None:
        """Let go of the topics."""
        self.store.close()


def at(tick: float) -> int:
    """The event time of a tick."""
    return BASE_MS + round(tick * CADENCE_MS)


def reading(tick: int, value: float | None) -> bytes:
    """A wide JSON record."""
    return msgspec.json.encode({"time": at(tick), "a": value, "b": value})


def toml(sections: dict[str, Any]) -> str:
    """Enough TOML for a config."""
    plain = {key: value for key, value in sections.items() if not isinstance(value, dict)}
    lines = [f"{key} = {toml_value(value)}" for key, value in plain.items()]
    for name, keys in sections.items():
        if isinstance(keys, dict):
            lines += [f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in keys.items())]
    return "\n".join(lines)


def toml_value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {toml_value(inner)}' for key, inner in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def wait_for(condition: Callable[[], bool], patience_s: float = 60.0) -> None:
    """Wait on a condition that no error may break."""
    until = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < until, "the condition never came"
        threading.Event().wait(0.01)
