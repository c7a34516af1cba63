"""The demo's world: the simulated plant on disk and on its topic, and the service beside it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from streamae import config as configs
from streamae.config import Config
from streamae.errors import StreamaeError, TopicsError
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
    path.write_text(f"{text}http_port = {_free_port()}\n", encoding="utf-8")
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
    """A plant starts on a topic of its own, or what is found would be of two plants."""
    topic = config.topics.readings
    if store.describe([topic])[topic] is not None:
        raise TopicsError(f"{topic} is there already at {config.topics.store}: delete it, or give another --service")


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


class ServeProcess:
    """`streamae serve` as a process of its own, as it runs in production."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.log = folder / "serve.log"
        self._health = f"http://{config.serving.http_host}:{config.serving.http_port}/healthz"
        command = [sys.executable, "-m", "streamae", "serve", str(folder / "streamae.toml"), "--create-topics"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log)  # noqa: S603  our own command

    def handled(self) -> int:
        """How many records are committed. Raises StreamaeError where the service has ended."""
        if self._process.poll() is not None:
            tail = "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-5:])
            raise StreamaeError(f"the service ended with {self._process.returncode}; {self.log} ends with:\n{tail}")
        try:
            with urllib.request.urlopen(self._health, timeout=2) as page:  # noqa: S310  our own address
                facts: dict[str, Any] = json.load(page)
        except OSError:  # not up yet
            return 0
        return sum(facts["committed"].values())

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
