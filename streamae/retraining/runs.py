"""Runs: what became of each scheduled time, in one small file beside the versions that replicas share.

    <registry>/<model>/retraining.json

Rules:
1. A time has one entry. What says more replaces what says less, never the other way round: a replica that was too slow
   for a time, or whose child was killed, takes nothing back from the one that did the work.
2. `handled_ms` moves on with every time that came to an end (promoted, kept, failed, missed). At or before it nothing
   is done again. An overlapped time came to no end here: another replica may be at it.
3. What lies between the time handled before and the one handled now was missed, and is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import msgspec

from streamae.config.schedule import Schedule
from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Facts
from streamae.errors import ArtifactError, RegistryError
from streamae.registry import Registry
from streamae.retraining.promotion import Evidence

log = logging.getLogger(__name__)

FILE = "retraining.json"
SCHEDULED = "scheduled"  # of a manifest's report: the scheduled time that the version is of, ms
KEPT = 400  # entries

Outcome = Literal["overlapped", "missed", "registered", "failed", "kept", "promoted"]
SAYS = {outcome: place for place, outcome in enumerate(get_args(Outcome))}  # the further on, the more
IDLE = ("overlapped", "missed")
ENDS = ("missed", "failed", "kept", "promoted")


class Run(Facts, frozen=True, kw_only=True):
    """What became of one scheduled time. All times in ms since the epoch.

    promoted, kept: registered, and champion from here on, or not; failed: no result, or one that nobody compared;
    registered: judged, and what follows from it is under way; missed: no run could start in time; overlapped: the run
    before was still going on.
    """

    scheduled_ms: int
    outcome: Outcome
    version: str | None = None
    why: str = ""
    earlier: int = 0  # scheduled times before it that nothing came of
    started_ms: int | None = None
    ended_ms: int | None = None
    evidence: Evidence | None = None


class Record(Facts, frozen=True, kw_only=True):
    """The file: up to when scheduled times are dealt with, how many were missed and overlapped, and the last runs."""

    handled_ms: int | None = None
    missed: int = 0
    overlapped: int = 0
    runs: tuple[Run, ...] = ()  # by scheduled time

    def of(self, scheduled_ms: int) -> Run | None:
        """The entry of a scheduled time."""
        return next((run for run in reversed(self.runs) if run.scheduled_ms == scheduled_ms), None)

    def done(self, scheduled_ms: int) -> bool:
        """Whether nothing is left to do for a scheduled time."""
        return self.handled_ms is not None and scheduled_ms <= self.handled_ms

    def due(self, schedule: Schedule, now: int) -> int | None:
        """The newest scheduled time that has passed and is not dealt with; None where there is none."""
        return schedule.newest(now if self.handled_ms is None else self.handled_ms, now)

    def left_over(self, schedule: Schedule, now: int) -> int | None:
        """The newest scheduled time that passed while nothing ran; times known to have overlapped are none."""
        until = now
        while (found := self.due(schedule, until)) is not None:
            run = self.of(found)
            if run is None or run.outcome != "overlapped":
                break
            until = found - 1
        return found

    def having(self, run: Run, schedule: Schedule | None) -> Record:
        """The same with another entry."""
        before, done = self.of(run.scheduled_ms), self.done(run.scheduled_ms)
        if (done and run.outcome in IDLE) or (before and SAYS[before.outcome] > SAYS[run.outcome]):
            return self
        handled, earlier = self.handled_ms, 0
        if run.outcome in ENDS and not done:
            if schedule and handled is not None:
                known = sum(handled < one.scheduled_ms < run.scheduled_ms for one in self.runs)
                earlier = max(schedule.count(handled, run.scheduled_ms - 1) - known, 0)
            handled = run.scheduled_ms
        others = [one for one in self.runs if one.scheduled_ms != run.scheduled_ms]
        entry = msgspec.structs.replace(run, earlier=earlier or (before.earlier if before else 0))
        runs = sorted([*others, entry], key=lambda one: one.scheduled_ms)[-KEPT:]
        return Record(
            handled_ms=handled,
            missed=self.missed + earlier + _first(run, before, "missed"),
            overlapped=self.overlapped + _first(run, before, "overlapped"),
            runs=tuple(runs),
        )


class Runs:
    """The record of a model's runs, in its registry. Raises RegistryError where it cannot be read or written."""

    def __init__(self, registry: Registry, model: str, schedule: Schedule | None = None) -> None:
        self._registry, self._model, self._schedule = registry, model, schedule

    def read(self) -> Record:
        """What is recorded."""
        return self._decoded(self._registry.read(self._model, FILE))

    def put(self, run: Run) -> None:
        """Record an outcome."""
        self._change(lambda record: record.having(run, self._schedule))

    def fail(self, scheduled_ms: int, why: str, started_ms: int, now: int) -> None:
        """Record that nothing more comes of a time, unless something did already; a version of it stays named."""
        record = self.read()
        if record.done(scheduled_ms):
            return
        before = record.of(scheduled_ms) or Run(scheduled_ms=scheduled_ms, outcome="failed")
        artifact = None if before.version else self.registered(scheduled_ms)
        version = artifact.manifest.version if artifact else before.version
        changes = {"version": version, "why": why, "started_ms": started_ms, "ended_ms": now}
        self.put(msgspec.structs.replace(before, outcome="failed", **changes))

    def registered(self, scheduled_ms: int) -> Artifact | None:
        """The version that was registered for a scheduled time; they are registered in the order of their times."""
        versions = self._registry.versions(self._model) if self._model in self._registry.models() else []
        for version in reversed(versions):
            try:
                artifact = self._registry.load(self._model, version)
            except ArtifactError as error:
                log.warning("passed over: %s", error)
                continue
            scheduled = artifact.manifest.report.get(SCHEDULED)
            if scheduled == scheduled_ms:
                return artifact
            if isinstance(scheduled, int) and scheduled < scheduled_ms:
                break
        return None

    def begin(self, now: int) -> Record:
        """Where nothing is recorded yet, nothing was missed before now."""
        self._change(
            lambda record: record if record.handled_ms is not None else msgspec.structs.replace(record, handled_ms=now)
        )
        return self.read()

    def _change(self, change: Callable[[Record], Record]) -> None:
        def changed(data: bytes | None) -> bytes:
            return msgspec.json.format(msgspec.json.encode(change(self._decoded(data))), indent=1)

        self._registry.rewrite(self._model, FILE, changed)

    def _decoded(self, data: bytes | None) -> Record:
        try:
            return msgspec.json.decode(data or b"{}", type=Record)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RegistryError(
                f"{self._registry.folder / self._model / FILE} is damaged ({error}); "
                "remove it, and scheduled times count from then on"
            ) from error


def _first(run: Run, before: Run | None, outcome: Outcome) -> int:
    return int(run.outcome == outcome and (before is None or before.outcome != outcome))


def iso(moment: int) -> str:
    """A time in ms for people, and for `--for`."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")
