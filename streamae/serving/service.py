"""Service: the loop. One process, one loop, the only user of its Source and Sink.

    poll -> decode -> detect -> { alerts, scores, dead letters, episodes; offsets + checkpoint } in ONE transaction

What a poll brings is handled at once; a transaction follows as soon as the commit interval allows. Whatever goes wrong
with it, the truth is what is committed: every partition is restored from there.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from streamae.config import Config
from streamae.errors import ArtifactError, ConfigError, RecordsGone, RegistryError, TransactionFailed, Unreachable
from streamae.registry import Registry
from streamae.serving.models import Models
from streamae.serving.notices import Notices
from streamae.serving.partition import Partition
from streamae.serving.provision import faults, provide
from streamae.serving.recovery import Restore, Surroundings
from streamae.serving.settings import Settings
from streamae.serving.telemetry import Telemetry
from streamae.serving.watchdog import Watchdog
from streamae.topics.topics import Polled, Sink, Source, TopicStore

log = logging.getLogger(__name__)

IDLE_POLL_S = 0.5
STALLED_S = 15.0  # without progress the service is not healthy
PATIENT_S = 3.0  # for which a restore may wait without a word
PAUSE_S = 0.2  # before a broker that refuses is asked again


class Service:
    """Serves one model on one topic of readings, until it is told to stop."""

    def __init__(self, config: Config, store: TopicStore, registry: Registry, create_topics: bool = False) -> None:
        self.config = config
        self.settings = Settings.of(config)
        self.telemetry = Telemetry()
        self.watchdog = Watchdog()
        self.models = Models(registry, config.model, config.readings.channels, config.serving.device)
        self.committed: dict[int, int] = {}  # partition -> offset of the next reading, as of the last transaction
        self._store = store
        self._create_topics = create_topics
        self._running: dict[int, Partition] = {}
        self._restoring: dict[int, Restore] = {}
        self._last_commit = self._last_refresh = 0.0
        self._notices = Notices()
        self._source: Source
        self._sink: Sink
        self._around: Surroundings

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, then commit what is done and leave. Raises Fenced, TopicsError."""
        self.watchdog.start()
        try:
            while self._wait_until_ready(stop):
                try:
                    with self._connected():
                        return self._serve(stop)
                except Unreachable as error:
                    self._notices.say("broker", f"connecting again: {error}")
        finally:
            self.watchdog.stop()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        group, instance = self.config.service, self.config.serving.instance
        self._source = self._store.source(self.settings.readings, group, instance)
        try:
            self._sink = self._store.sink(self._source, group, instance)
            try:
                yield
            finally:
                self._sink.close()
        finally:
            self._source.close()

    def health(self) -> dict[str, Any]:
        """Whether the loop makes progress, and what it serves."""
        champion = self.models.champion_version
        states = {"running": len(self._running), "restoring": len(self._restoring)}
        healthy = self.watchdog.stalled_s() < STALLED_S
        return {"healthy": healthy, "version": champion, "partitions": states, "committed": dict(self.committed)}

    def _serve(self, stop: threading.Event) -> None:
        self._running.clear()
        self._restoring.clear()
        start = self.config.serving.start_at()
        self._around = Surroundings(self.settings, self._store, self._source, self.models, start, self.watchdog.beat)
        log.info("serving %s from %s", self.config.model, self.settings.readings)
        while not stop.is_set():
            self._turn(stop)
        self._commit(stop)

    def _turn(self, stop: threading.Event) -> None:
        self.watchdog.beat()
        self._take(self._poll(stop))
        self._advance_restores()
        if time.monotonic() - self._last_commit >= self.config.serving.commit_interval_ms / 1000:
            self._commit(stop)
        if time.monotonic() - self._last_refresh >= self.config.serving.refresh_s:
            self._commit(stop)
            self._refresh()

    def _poll(self, stop: threading.Event) -> Polled:
        waiting = self._restoring or any(partition.changed for partition in self._running.values())
        try:
            polled = self._source.poll(self.config.serving.commit_interval_ms / 1000 if waiting else IDLE_POLL_S)
            self._notices.over("broker", "the broker answers")
            return polled
        except Unreachable as error:
            self._notices.say("broker", f"trying on: {error}")
            stop.wait(PAUSE_S)
        except RecordsGone as error:
            log.warning("all partitions are restored, where they can be: %s", error)
            self._restore_all()
        return Polled()

    def _take(self, polled: Polled) -> None:
        for number in polled.revoked:
            self._running.pop(number, None)
            self._restoring.pop(number, None)
        for number in polled.assigned:
            self._restoring[number] = Restore(number, self._around)
        for records in polled.records:
            if records.partition in self._running:
                self._running[records.partition].detect(records)
            elif records.partition in self._restoring:
                self._restoring[records.partition].take(records)
            self.watchdog.beat()

    def _advance_restores(self) -> None:
        for number, restore in list(self._restoring.items()):
            about = f"partition {number}"
            self.watchdog.beat()
            try:
                partition = restore.advance()
            except Unreachable as error:  # for a moment it is so at every start
                if restore.waited_s() > PATIENT_S:
                    self._notices.say(about, f"{self.settings.readings}[{number}] waits: {error}")
                continue
            except (RecordsGone, RegistryError, ArtifactError, ConfigError) as error:
                self._notices.say(about, f"{self.settings.readings}[{number}] is held: {error}")
                continue
            if partition is not None:
                self._notices.over(about, f"{self.settings.readings}[{number}] goes on")
                del self._restoring[number]
                self._running[number] = partition
                self.telemetry.restores.inc()

    def _commit(self, stop: threading.Event) -> None:
        ready = [partition for partition in self._running.values() if partition.changed]
        self._last_commit = time.monotonic()
        if not ready:
            return
        try:
            with self.telemetry.commit_seconds.time():
                self._transact(ready)
        except TransactionFailed as error:
            log.warning("a transaction failed, all partitions are restored from what is committed: %s", error)
            self.telemetry.transactions.labels("failed").inc()
            self._start_over(stop)
            return
        self.telemetry.transactions.labels("committed").inc()
        for partition in ready:
            self.telemetry.count(partition.committed())
            self.committed[partition.number] = partition.next_offset

    def _transact(self, ready: list[Partition]) -> None:
        self._sink.begin()
        outputs = [partition.outputs() for partition in ready]
        offsets = self._sink.send([output for part in outputs for output in part])
        positions = {}
        for partition, part in zip(ready, outputs, strict=True):
            own, offsets = offsets[: len(part)], offsets[len(part) :]
            positions[partition.number] = partition.position(own)
        self._sink.commit(positions)

    def _restore_all(self) -> None:
        for number in [*self._running, *self._restoring]:
            self._source.hold(number)
            self._restoring[number] = Restore(number, self._around)
        self._running.clear()

    def _start_over(self, stop: threading.Event) -> None:
        self._restore_all()
        while not stop.is_set():
            self.watchdog.beat()
            try:
                self._sink.renew()
                self._notices.over("broker", "the broker answers")
                return
            except (Unreachable, ConfigError) as error:  # the latter where a password is withdrawn meanwhile
                self._notices.say("broker", f"trying on: {error}")
                stop.wait(PAUSE_S)

    def _refresh(self) -> None:
        """Between transactions: go over to a new champion, and bring the gauges up to date."""
        self._last_refresh = time.monotonic()
        champion = self.models.champion()
        for partition in self._running.values():
            if champion is None or partition.changed or partition.detector.version == self.models.champion_version:
                continue
            before = partition.detector.version
            anew = partition.swap(champion)
            self.telemetry.swaps.inc()
            how = "windows begin anew: no alerts for up to one window" if anew else "windows and episodes stay"
            log.info("partition %d: %s -> %s; %s", partition.number, before, partition.detector.version, how)
        self.models.keep({partition.detector.version for partition in self._running.values()})
        self.telemetry.measure(self._running, len(self._restoring), self._source)
        self.telemetry.measure_model(self.models)
        self._report_torn_series()

    def _report_torn_series(self) -> None:
        """One series lives in one partition, or its windows are torn apart."""
        places = Counter(name for partition in self._running.values() for name in partition.detector.series)
        for name in [name for name, count in places.items() if count > 1]:
            torn = f"the series {name} is in more than one partition: key records by series"
            self.telemetry.violations.inc(self._notices.say(f"series {name}", torn))

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
