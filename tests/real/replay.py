"""One replay: train on prefixes, serve what follows from a topic, read the alerts back."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec
import pandas as pd
from rich.console import Console

from streamae import config as configs
from streamae.batch import train_and_register
from streamae.config import Config
from streamae.demo.summary import alerted
from streamae.detection.alerts import Alert
from streamae.errors import StreamaeError
from streamae.serving.child import ServeProcess, free_port
from streamae.topics import open_store
from streamae.topics.topics import Output, TopicSpec, TopicStore
from streamae.training.matching import Alerted
from tests.real.recordings import DataSet, Recording, config_text, records

PARTITIONS = 4  # of a fleet; a single series has one
CHUNK = 5000  # records written at once
PATIENCE_S = 600.0  # for one replay to be handled
FOR_EVER = {"retention.ms": "-1"}  # event times are up to weeks old, and brokers go by them


@dataclass
class Outcome:
    """What came of one or more replays."""

    alerts: list[Alerted] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # series -> why it was not served
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Take another one's results in."""
        self.alerts += other.alerts
        self.thresholds |= other.thresholds
        self.failed |= other.failed
        for name, took in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + took


@dataclass(frozen=True)
class Stage:
    """Where replays happen: a store of topics and a scratch folder."""

    url: str
    folder: Path
    steps: int = 120

    def attempt(self, kind: DataSet, recordings: Sequence[Recording], scope: str, autoencoder: str) -> Outcome:
        """The same as `replay`; what goes wrong is noted, so that the other replays go on."""
        try:
            return self.replay(kind, recordings, scope, autoencoder)
        except Exception as error:  # whatever it is, it is a finding about these series
            return Outcome(failed={one.name: f"{type(error).__name__}: {error}" for one in recordings})

    def replay(self, kind: DataSet, recordings: Sequence[Recording], scope: str, autoencoder: str) -> Outcome:
        """One model for these series, and one service. Raises StreamaeError."""
        topic, service = f"{kind.name}.{scope}.readings", f"{kind.name}.{scope}.{autoencoder}"
        folder = self.folder / service
        config = self._settle(folder, kind, recordings, (service, topic, autoencoder))
        outcome = Outcome()
        began = time.monotonic()
        manifest = train_and_register(config, promote=False, console=Console(quiet=True))
        outcome.seconds["train"] = time.monotonic() - began
        outcome.thresholds = {
            one.name: manifest.thresholds.get(one.name, manifest.threshold).error for one in recordings
        }
        with open_store(self.url) as store:
            outcome.seconds["publish"] = publish(store, topic, recordings)
            outcome.seconds |= serve(config, folder, sum(one.live for one in recordings))
            outcome.alerts = alerted(read_alerts(store, config.topic("alerts")), config)
        return outcome

    def _settle(
        self, folder: Path, kind: DataSet, recordings: Sequence[Recording], names: tuple[str, str, str]
    ) -> Config:
        """Write history and config of a service."""
        service, topic, autoencoder = names
        folder.mkdir(parents=True)
        pd.concat([one.history() for one in recordings]).to_parquet(folder / "history.parquet")
        places: dict[str, str | int] = {"port": free_port(), "steps": self.steps}
        places |= {"service": service, "store": self.url, "topic": topic}
        text = config_text(kind, recordings[0].channels, autoencoder, places)
        (folder / "streamae.toml").write_text(text, encoding="utf-8")
        return configs.load(folder / "streamae.toml")


def publish(store: TopicStore, topic: str, recordings: Sequence[Recording]) -> float:
    """Write what is replayed onto a topic, unless it is there already; returns the seconds that it took."""
    if store.describe([topic])[topic] is not None:
        return 0.0
    began = time.monotonic()
    store.create([TopicSpec(topic, PARTITIONS if len(recordings) > 1 else 1, FOR_EVER)])
    writer = store.writer()
    rows = records(recordings)
    while chunk := list(islice(rows, CHUNK)):
        writer.write([Output(topic, key, value, timestamp=at) for key, value, at in chunk])
    writer.close()
    return time.monotonic() - began


def serve(config: Config, folder: Path, readings: int) -> dict[str, float]:
    """Serve until all readings are committed; returns the seconds until the first commit, and from there on."""
    began = time.monotonic()
    first = 0.0
    service = ServeProcess(config, folder)
    try:
        while (handled := service.handled()) < readings:
            first = first or (time.monotonic() if handled else 0.0)
            if time.monotonic() - began > PATIENCE_S:
                raise StreamaeError(f"{handled} of {readings} readings handled in {PATIENCE_S:g} s; see {service.log}")
            threading.Event().wait(0.05)
    finally:
        service.stop()
    done = time.monotonic()
    return {"start": (first or done) - began, "serve": done - (first or done)}


def read_alerts(store: TopicStore, topic: str) -> list[Alert]:
    """Everything on the topic of alerts, as any subscriber sees it."""
    reader = store.reader(topic, "earliest")
    found = []
    while not reader.caught_up():
        values = [value for records in reader.poll(0.5) for value in records.value if value]
        found += [msgspec.json.decode(value, type=Alert) for value in values]
    reader.close()
    return found
