"""Job: one run for one scheduled time, in steps that can be gone on with after a crash at any point.

    find the version of this time, else train and register it -> judge -> record -> promote or not -> record

The registered version carries its scheduled time, so that its appearance in the registry is the commit: killed before,
nothing is there; killed after, the same run is gone on with, whoever does so. All of it is under the training lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from streamae.config import Config
from streamae.detection.artifact import Artifact
from streamae.errors import RegistryError, StreamaeError
from streamae.registry import Registry
from streamae.retraining.promotion import Evidence, Verdict, decide, incomparable
from streamae.retraining.runs import SCHEDULED, Outcome, Run, Runs, iso
from streamae.retraining.trial import compare
from streamae.training import job
from streamae.training.history import Gathered, gather

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One run: the model that `config` describes, for one scheduled time (ms since the epoch)."""

    config: Config
    scheduled_ms: int
    now: Callable[[], int]  # ms since the epoch

    @cached_property
    def registry(self) -> Registry:
        """Where versions and runs are kept."""
        return Registry(self.config.registry)

    @cached_property
    def runs(self) -> Runs:
        """What became of scheduled times."""
        return Runs(self.registry, self.config.model, self.config.retraining.schedule())

    def run(self, wait: bool) -> Run:
        """Do what is left to do for this time, and say what became of it.

        Where another process trains, its end is waited for; or RegistryError is raised. Whatever else is raised has
        been recorded as a failure, where the registry allows it.
        """
        model, started = self.config.model, self.now()
        with self.registry.training(model, self._waiting if wait else self._refusing):
            record = self.runs.read()
            if record.done(self.scheduled_ms):
                before = record.of(self.scheduled_ms)
                log.info("%s: %s is dealt with already; nothing to do", model, iso(self.scheduled_ms))
                return before or Run(scheduled_ms=self.scheduled_ms, outcome="missed", why="a later time was run for")
            try:
                return self._ended(self._step_by_step(record.of(self.scheduled_ms)), started)
            except Exception as error:
                self._failed(error, started)
                raise

    def _step_by_step(self, before: Run | None) -> Run:
        """Each step begins with what the registry says, not with what this process remembers."""
        model = self.config.model
        champion = self.registry.champion(model)
        challenger = self.runs.registered(self.scheduled_ms) or self._train(champion)
        version = challenger.manifest.version
        if before and before.version != version:
            before = None
        if any(promotion.version == version for promotion in self.registry.promotions(model)):
            judged = before or self._run("promoted", version, "promoted before the run was cut short")
            return msgspec.structs.replace(judged, outcome="promoted")
        if champion is None:
            self.registry.promote(model, version, self.now(), "first version")
            return self._run("promoted", version, "first version")
        if not (before and before.evidence and before.evidence.champion.version == champion):
            before = self._judged(self.registry.load(model, champion), challenger)
            self.runs.put(before)
        verdict = decide(before.evidence) if before.evidence else Verdict(promote=False, why=before.why)
        if verdict.promote:
            self.registry.promote(model, version, self.now(), verdict.why)
            return msgspec.structs.replace(before, outcome="promoted", why=verdict.why)
        by_hand = f"`streamae models promote CONFIG {version}` promotes it all the same"
        return msgspec.structs.replace(before, outcome="kept", why=f"{verdict.why}; {by_hand}")

    @cached_property
    def _gathered(self) -> Gathered:
        return gather(self.config, self.scheduled_ms)

    def _train(self, champion: str | None) -> Artifact:
        parent = self.registry.load(self.config.model, champion).manifest if champion else None
        log.info("training %s for %s", self.config.model, iso(self.scheduled_ms))
        artifact = job.train(self.config, self._gathered, parent=parent)
        report = {**artifact.manifest.report, SCHEDULED: self.scheduled_ms}
        artifact = replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, report=report))
        registered = self.registry.register(artifact)
        log.info("registered %s %s", self.config.model, registered.manifest.version)
        return registered

    def _judged(self, champion: Artifact, challenger: Artifact) -> Run:
        version = challenger.manifest.version
        why = incomparable(champion.manifest, challenger.manifest)
        if why:
            return self._run("registered", version, why)
        log.info("comparing %s with the champion, %s", version, champion.manifest.version)
        return self._run("registered", version, "judged", compare(self.config, self._gathered, champion, challenger))

    def _run(self, outcome: Outcome, version: str, why: str, evidence: Evidence | None = None) -> Run:
        return Run(scheduled_ms=self.scheduled_ms, outcome=outcome, version=version, why=why, evidence=evidence)

    def _ended(self, run: Run, started: int) -> Run:
        ended = msgspec.structs.replace(run, started_ms=started, ended_ms=self.now())
        self.runs.put(ended)
        log.info("%s %s is %s: %s", self.config.model, ended.version, ended.outcome, ended.why)
        return ended

    def _failed(self, error: Exception, started: int) -> None:
        """Record a failure; that the registry does not allow it must not hide what failed."""
        why = str(error) if isinstance(error, StreamaeError) else f"{type(error).__name__}: {error}"
        try:
            self.runs.fail(self.scheduled_ms, why, started, self.now())
        except StreamaeError as unwritten:
            log.error("the failure cannot be recorded: %s", unwritten)

    def _waiting(self) -> None:
        log.info("another process is training %s; waiting for it", self.config.model)

    def _refusing(self) -> None:
        raise RegistryError(f"another process is training {self.config.model} now; nothing was done")
