"""Loop: starts a run at each scheduled time, in a process of its own, until told to stop.

The scheduler only says *when*; which scheduled time a run is for is worked out from the schedule and the record that
all replicas share, so that nobody does a time twice, whoever fires when, with or without jitter.
"""

from __future__ import annotations

import logging
import random
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from streamae.config import Config
from streamae.config.schedule import EPOCH, MS, Schedule
from streamae.errors import ConfigError, StreamaeError
from streamae.registry import Registry
from streamae.retraining import child
from streamae.retraining.runs import Run, Runs, iso

log = logging.getLogger(__name__)

JOB = "retrain"


class Times(BaseTrigger):  # type: ignore[misc]  # untyped
    """A schedule as APScheduler asks for it; each time is put off by up to `jitter_s`, by chance."""

    def __init__(self, schedule: Schedule, jitter_s: float) -> None:
        self._schedule, self._jitter_s = schedule, jitter_s

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """The next time to fire; counted from the scheduled times, so that jitter does not add up."""
        late = timedelta(seconds=random.uniform(0, self._jitter_s))
        return EPOCH + self._schedule.after(((previous or now) - EPOCH) // MS) * MS + late


class Loop:
    """Runs the job of a config at its scheduled times. Raises ConfigError where it names none."""

    def __init__(self, config: Config, path: Path, now: Callable[[], int]) -> None:
        schedule = config.retraining.schedule()
        if schedule is None:
            raise ConfigError(
                f"{path}: $.retraining: give cron or every_s, or run once: streamae retrain {path} --once"
            )
        self._schedule, self._path, self._now = schedule, path, now
        self._settings, self._model = config.retraining, config.model
        self._runs = Runs(Registry(config.registry), config.model, schedule)
        self._lock = threading.Lock()
        self._stopping = False
        self._child: subprocess.Popen[bytes] | None = None
        self._tried = 0  # the last scheduled time that a child was started for, ms
        executors = {"default": ThreadPoolExecutor(1)}
        self._scheduler = BackgroundScheduler(executors=executors, timezone=UTC)
        self._scheduler.add_listener(self._on_missed, EVENT_JOB_MISSED)
        self._scheduler.add_listener(self._on_overlap, EVENT_JOB_MAX_INSTANCES)

    def run(self, stop: threading.Event) -> None:
        """Go on until told to stop; a run that is then under way ends with it, and is done again at the next start."""
        first = {"next_run_time": datetime.now(UTC)} if self._catches_up() else {}
        self._scheduler.add_job(
            self._fire,
            Times(self._schedule, self._settings.jitter_s),
            id=JOB,
            misfire_grace_time=self._settings.grace_s,
            coalesce=True,
            max_instances=1,
            **first,
        )
        self._scheduler.start()
        try:
            log.info("%s is next trained at %s", self._model, iso(self._schedule.after(self._now())))
            stop.wait()
        finally:
            self._stop()
            self._scheduler.shutdown()
        log.info("stopped")

    def _catches_up(self) -> bool:
        """Whether a run is to start at once, for a time that passed while nothing ran."""
        now = self._now()
        scheduled = self._runs.begin(now).left_over(self._schedule, now)
        if scheduled is None:
            return False
        late = now - scheduled
        if late <= self._settings.grace_s * 1000 or self._settings.missed == "run":
            log.info("%s passed %g s ago while nothing ran: making up for it", iso(scheduled), late / 1000)
            return True
        self._skip(scheduled, late)
        return False

    def _skip(self, scheduled: int, late: int) -> None:
        why = f"nothing could run until {late / 1000:g} s later, which is more than grace_s"
        self._runs.put(Run(scheduled_ms=scheduled, outcome="missed", why=why))
        log.warning("%s was missed: %s", iso(scheduled), why)

    def _fire(self) -> None:
        """Run for the newest scheduled time that is not dealt with."""
        try:
            started = self._now()
            scheduled = self._runs.read().due(self._schedule, started)
            if scheduled is None or scheduled <= self._tried:
                log.info("nothing to do: another replica was here, or it was tried before")
                return
            code = self._run_child(scheduled)
            if code:
                self._runs.fail(scheduled, child.reason(code), started, self._now())
                log.error("the run for %s failed: %s", iso(scheduled), self._why(scheduled))
        except StreamaeError as error:
            log.error("%s", error)

    def _run_child(self, scheduled: int) -> int:
        """The exit code of a run; 0 where it was stopped with this process."""
        with self._lock:
            if self._stopping:
                return 0
            self._tried = scheduled
            self._child = child.start(child.command(self._path, scheduled))
        code = self._child.wait()
        with self._lock:
            self._child = None
            return 0 if self._stopping else code

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            running = self._child
        if running:
            child.end(running)

    def _why(self, scheduled: int) -> str:
        run = self._runs.read().of(scheduled)
        return run.why if run else ""

    def _on_missed(self, event: Any) -> None:
        """The scheduler came too late, as it does after the machine slept."""
        self._guarded(self._missed)

    def _missed(self) -> None:
        now = self._now()
        scheduled = self._runs.read().due(self._schedule, now)
        if scheduled is None:
            return
        if self._settings.missed == "run":
            log.warning("%s was missed by %g s: making up for it", iso(scheduled), (now - scheduled) / 1000)
            self._scheduler.modify_job(JOB, next_run_time=datetime.now(UTC))
        else:
            self._skip(scheduled, now - scheduled)

    def _on_overlap(self, event: Any) -> None:
        """It is time again, and the run before is still going on."""
        self._guarded(self._overlapped)

    def _overlapped(self) -> None:
        scheduled = self._schedule.newest(self._tried, self._now())
        if scheduled is None:
            return
        why = f"the run for {iso(self._tried)} was still going on"
        self._runs.put(Run(scheduled_ms=scheduled, outcome="overlapped", why=why))
        log.warning("nothing is run for %s: %s", iso(scheduled), why)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except StreamaeError as error:
            log.error("%s", error)
