"""The demo's world: the simulated plant on disk and on its topic."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec

from streamae import config as configs
from streamae.config import Config
from streamae.errors import TopicsError
from streamae.serving.child import free_port
from streamae.simulation import Columns, Plant, SimulationSpec, config_text, records, simulate
from streamae.topics import open_store
from streamae.topics.topics import Output, TopicSpec, TopicStore

PARTITIONS = 4
CHUNK = 5000  # records written at once


def write_plant(folder: Path, spec: SimulationSpec, store: str, service: str) -> Iterator[str]:
    """Write config, history and labels into a folder, and the live readings onto the topic; yields what it did."""
    plant = simulate(spec)
    config = settle(folder, plant, config_text(spec, store, service=service))
    yield f"{folder}/streamae.toml: the config of the service"
    yield f"{folder}/history.parquet: {len(plant.history):,} readings without faults, to train on"
    yield f"{folder}/faults.json: {len(plant.faults)} faults in the live readings, to hold alerts against"
    publish(config, plant.live)
    yield f"{config.topics.readings} at {config.topics.store}: {len(plant.live):,} live readings"
    yield f"next: streamae train {folder}/streamae.toml"


def settle(folder: Path, plant: Plant, text: str) -> Config:
    """Write a plant's files, the config among them; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "streamae.toml"
    path.write_text(f"{text}http_port = {free_port()}\n", encoding="utf-8")
    plant.history.frame().to_parquet(folder / "history.parquet")
    (folder / "faults.json").write_bytes(msgspec.json.format(msgspec.json.encode(plant.faults)))
    return configs.load(path)


def publish(config: Config, live: Columns) -> None:
    """Write live readings onto the topic of readings, which is made where it is not there."""
    with open_store(config.topics.store, **config.topics.client) as store:
        refuse_used(config, store)
        # The simulated weeks are past already, and a broker deletes what is older than its retention.
        store.create([TopicSpec(config.topics.readings, PARTITIONS, {"retention.ms": "-1"})])
        writer = store.writer()
        rows = records(live)
        while chunk := list(islice(rows, CHUNK)):
            writer.write([Output(config.topics.readings, key, value, timestamp=at) for key, value, at in chunk])
        writer.close()


def refuse_used(config: Config, store: TopicStore) -> None:
    """A plant starts on a topic of its own, or what is found would be of two plants; one may be there, and empty."""
    topic = config.topics.readings
    if store.describe([topic])[topic] is None:
        return
    reader = store.reader(topic, "earliest")
    empty = reader.caught_up()
    reader.close()
    if not empty:
        raise TopicsError(
            f"{topic} holds readings already at {config.topics.store}: delete it, or give another --service"
        )


@contextmanager
def publishing(config: Config, live: Columns) -> Iterator[threading.Thread]:
    """Publish in the background; what goes wrong is raised at the end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            publish(config, live)
        except BaseException as error:  # whatever it was, it belongs to whoever waits
            failed.append(error)

    thread = threading.Thread(target=run, name="publisher")
    thread.start()
    yield thread
    thread.join()
    if failed:
        raise failed[0]
