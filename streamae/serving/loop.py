"""Loop: what a service does while it is connected. It is the only user of its Source and Sink.

    poll -> decode -> detect -> { alerts, scores, dead letters, episodes; offsets + checkpoint } in ONE transaction

What a poll brings is handled at once; a transaction follows as soon as the commit interval allows. Whatever goes wrong
with it, the truth is what is committed: every partition is restored from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from streamae.config.sections import Serving
from streamae.errors import (
    ArtifactError,
    ConfigError,
    RecordsGone,
    RegistryError,
    TopicsChanged,
    TransactionFailed,
    Unreachable,
)
from streamae.serving.holds import Holds
from streamae.serving.notices import Notices
from streamae.serving.partition import Halt, Partition
from streamae.serving.recovery import Restore, Surroundings
from streamae.serving.telemetry import Telemetry
from streamae.topics.topics import Damaged, Polled, Records, Sink

log = logging.getLogger(__name__)

STATES = ("running", "restoring", "held")  # of a partition; what is held is one of the others, too
IDLE_POLL_S = 0.5
PATIENT_S = 3.0  # for which a restore may wait without a word
PAUSE_S = 0.2  # before what was refused is tried again
DAMAGED_CURE = 'have another replica lead the partition, or set $.serving.damaged to "skip" to leave them out'


class Loop:
    """The partitions of one member of the group, from joining it to leaving it."""

    def __init__(
        self, config: Serving, around: Surroundings, sink: Sink, telemetry: Telemetry, notices: Notices
    ) -> None:
        self._config = config
        self._around = around
        self._source = around.source
        self._models = around.models
        self._readings = around.settings.readings
        self._sink = sink
        self._telemetry = telemetry
        self._notices = notices
        self._running: dict[int, Partition] = {}
        self._restoring: dict[int, Restore] = {}
        self._holds = Holds(around.source)
        self._last_commit = self._last_refresh = 0.0

    def run(self, stop: threading.Event) -> None:
        """Go on until `stop` is set, then commit what is done. Raises Unreachable, Fenced, TopicsError."""
        log.info("serving %s from %s", self._models.name, self._readings)
        while not stop.is_set():
            self._turn(stop)
        self._commit(stop)

    def states(self) -> dict[str, int]:
        """How many partitions are in which state."""
        restoring = list(self._restoring.values())  # a copy: another thread asks
        held = len(self._holds) + sum(restore.held for restore in restoring)
        return dict(zip(STATES, (len(self._running), len(restoring), held), strict=True))

    def _turn(self, stop: threading.Event) -> None:
        self._around.beat()
        self._holds.release_due()
        self._take(self._poll(stop))
        self._advance_restores()
        if time.monotonic() - self._last_commit >= self._config.commit_interval_ms / 1000:
            self._commit(stop)
        if time.monotonic() - self._last_refresh >= self._config.refresh_s:
            self._commit(stop)
            self._refresh()

    def _poll(self, stop: threading.Event) -> Polled:
        waiting = self._restoring or any(partition.changed for partition in self._running.values())
        try:
            polled = self._source.poll(self._config.commit_interval_ms / 1000 if waiting else IDLE_POLL_S)
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
            self._holds.forget(number)
        for number in polled.assigned:
            self._restoring[number] = Restore(number, self._around)
        for records in polled.records:
            if records.partition in self._running:
                self._detect(self._running[records.partition], records)
            elif records.partition in self._restoring:
                self._restoring[records.partition].take(records)
            self._around.beat()
        for damaged in polled.damaged:
            self._pass_by(damaged)

    def _detect(self, partition: Partition, records: Records) -> None:
        number = partition.number
        try:
            partition.detect(records)
            self._notices.over(f"partition {number}", f"{self._readings}[{number}] goes on")
        except Halt as halt:
            self._hold(number, partition.next_offset, str(halt))

    def _pass_by(self, damaged: Damaged) -> None:
        """Records that cannot be read hold their partition, or are left out, as the operator has decided."""
        number, first, after, why = damaged
        if self._config.damaged == "hold":
            self._hold(number, first, f"records cannot be read ({why}): {DAMAGED_CURE}")
            return
        facts = (self._readings, number, first, after - 1, why)
        log.error("%s[%d]: offsets %d to %d cannot be read, left out: %s", *facts)
        if number in self._running:
            self._running[number].skip(damaged)
            self._source.resume(number, after)
        elif number in self._restoring:
            self._restoring[number].skip(damaged)

    def _hold(self, number: int, offset: int, why: str) -> None:
        self._holds.hold(number, offset)
        self._notices.say(f"partition {number}", f"{self._readings}[{number}]@{offset} is held: {why}")

    def _advance_restores(self) -> None:
        for number, restore in list(self._restoring.items()):
            about = f"partition {number}"
            self._around.beat()
            try:
                partition = restore.advance()
            except Unreachable as error:  # for a moment it is so at every start
                if restore.waited_s() > PATIENT_S:
                    self._notices.say(about, f"{self._readings}[{number}] waits: {error}")
                continue
            except (RecordsGone, TopicsChanged, RegistryError, ArtifactError, ConfigError) as error:
                restore.put_off()
                self._notices.say(about, f"{self._readings}[{number}] is held: {error}")
                continue
            if partition is not None:
                self._notices.over(about, f"{self._readings}[{number}] goes on")
                del self._restoring[number]
                self._holds.forget(number)  # what it met behind its committed offset, it meets again
                self._running[number] = partition
                self._telemetry.restores.inc()

    def _commit(self, stop: threading.Event) -> None:
        ready = [partition for partition in self._running.values() if partition.changed]
        self._last_commit = time.monotonic()
        if not ready:
            return
        try:
            with self._telemetry.commit_seconds.time():
                self._transact(ready)
        except TransactionFailed as error:
            self._telemetry.transactions.labels("failed").inc()
            self._start_over(error, stop)
            return
        self._notices.over("transaction", "transactions succeed again")
        self._telemetry.transactions.labels("committed").inc()
        for partition in ready:
            self._telemetry.count(partition.committed())
            self._telemetry.committed[partition.number] = partition.next_offset

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
            self._holds.forget(number)
            self._restoring[number] = Restore(number, self._around)
        self._running.clear()

    def _start_over(self, error: TransactionFailed, stop: threading.Event) -> None:
        failed = f"a transaction failed, all partitions are restored from what is committed: {error}"
        if not self._notices.say("transaction", failed):  # again: nothing is won by haste
            stop.wait(PAUSE_S)
        self._restore_all()
        while not stop.is_set():
            self._around.beat()
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
        champion = self._models.champion()
        if self._running and self._source.identity() not in ("", self._around.topic_id):
            self._restore_all()  # where each of them is held
        for partition in self._running.values():
            if champion is None or partition.changed or partition.detector.version == self._models.champion_version:
                continue
            before = partition.detector.version
            anew = partition.swap(champion)
            self._telemetry.swaps.inc()
            how = "windows begin anew: no alerts for up to one window" if anew else "windows and episodes stay"
            log.info("partition %d: %s -> %s; %s", partition.number, before, partition.detector.version, how)
        self._models.keep({partition.detector.version for partition in self._running.values()})
        self._telemetry.measure(self._running, self.states(), self._source)
        self._telemetry.measure_model(self._models)
        self._report_torn_series()

    def _report_torn_series(self) -> None:
        """One series lives in one partition, or its windows are torn apart."""
        places = Counter(name for partition in self._running.values() for name in partition.detector.series)
        for name in [name for name, count in places.items() if count > 1]:
            torn = f"the series {name!r} is in more than one partition: key records by series"
            self._telemetry.violations.inc(self._notices.say(f"series {name}", torn))
