"""Service: what `streamae serve` runs. It waits until all is there, connects, and connects again after an outage."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from streamae.config import Config
from streamae.errors import Unreachable
from streamae.registry import Registry
from streamae.serving.loop import STATES, Loop
from streamae.serving.models import Models
from streamae.serving.notices import Notices
from streamae.serving.provision import Outputs, faults, provide
from streamae.serving.recovery import Surroundings
from streamae.serving.settings import Settings
from streamae.serving.telemetry import Telemetry
from streamae.serving.watchdog import Watchdog
from streamae.topics.topics import TopicStore

STALLED_S = 15.0  # without progress the service is not healthy


class Service:
    """Serves one model on one topic of readings, until it is told to stop."""

    def __init__(self, config: Config, store: TopicStore, registry: Registry, create_topics: bool = False) -> None:
        self.config = config
        self.settings = Settings.of(config)
        self.telemetry = Telemetry()
        self.watchdog = Watchdog()
        self.models = Models(
            registry, config.model, config.readings.channels, config.serving.device, config.serving.uses
        )
        self._store = store
        self._create_topics = create_topics
        self._notices = Notices()
        self._loop: Loop | None = None

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, then commit what is done and leave. Raises Fenced, TopicsError."""
        self.watchdog.start()
        try:
            while self._wait_until_ready(stop):
                try:
                    with self._connected() as self._loop:
                        return self._loop.run(stop)
                except Unreachable as error:
                    self._notices.say("broker", f"connecting again: {error}")
        finally:
            self.watchdog.stop()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Loop]:
        group, serving = self.config.service, self.config.serving
        source = self._store.source(self.settings.readings, group, serving.instance)
        try:
            sink = self._store.sink(source, group, serving.instance)
            try:
                start, beat = serving.start_at(), self.watchdog.beat
                outputs = Outputs(self._store, self.settings)
                around = Surroundings(
                    self.settings, self._store, source, self.models, start, beat, outputs, source.identity()
                )
                yield Loop(serving, around, sink, self.telemetry, self._notices)
            finally:
                sink.close()
        finally:
            source.close()

    @property
    def committed(self) -> dict[int, int]:
        """Partition -> offset of the next reading, as of the last transaction."""
        return self.telemetry.committed

    def health(self) -> dict[str, Any]:
        """Whether the loop makes progress, and what it serves."""
        champion, healthy = self.models.champion_version, self.watchdog.stalled_s() < STALLED_S
        states = self._loop.states() if self._loop else dict.fromkeys(STATES, 0)
        return {"healthy": healthy, "version": champion, "partitions": states, "committed": dict(self.committed)}

    def _wait_until_ready(self, stop: threading.Event) -> bool:
        """Wait for the broker, the topics and a first champion; False where `stop` came first."""
        while not stop.is_set():
            self.watchdog.beat()
            missing = self._missing()
            if not missing:
                self._notices.over("start", "all is there")
                return True
            self._notices.say("start", "waiting: " + "; ".join(missing))
            stop.wait(min(self.config.serving.refresh_s, 2.0))
        return False

    def _missing(self) -> list[str]:
        try:
            if self._create_topics:
                provide(self._store, self.settings)
            found = faults(self._store, self.settings)
        except Unreachable as error:
            return [str(error)]
        if self.models.champion() is None:
            found.append(f"the model {self.config.model} has no champion: train it, or `streamae models promote`")
        return found
