"""Evaluate: a model's alerts and scores held against labels, beside baselines that were trained on the same.

Only what the model has not learnt from counts: `truth.py` says what that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamae.config import Config
from streamae.detection.alerts import ChannelShare
from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Manifest
from streamae.detection.scoring import Scorer
from streamae.history.candidates import own
from streamae.history.contenders import Contender, Stage, Trained, baseline, contender
from streamae.history.figures import Facts, Watch, about, blame, episode, learnt_spans, watch
from streamae.history.outcomes import Outcome, judged, outcome
from streamae.history.past import Explanations, Past, Told, look_back
from streamae.history.stored import Stored
from streamae.history.truth import Truth
from streamae.training.files import Table
from streamae.training.history import Gathered
from streamae.training.matching import Event, Found


class Question(NamedTuple):
    """What is asked of a model."""

    config: Config  # the rules of detection, and how baselines are trained
    table: Table
    labels: Sequence[Event]
    baselines: Sequence[str]
    gather: Callable[[Config], Gathered]  # what the model was trained on; read where a baseline needs it


class Missed(NamedTuple):
    """An event that counts and that no alert of the model touches."""

    event: Event
    peak: float | None  # the highest score of the windows in it; None where too little was observed
    peak_time: int | None  # ms
    channels: tuple[ChannelShare, ...]  # to blame for that score


@dataclass(frozen=True)
class Evaluation:
    """How a model fared against labels, and its baselines beside it."""

    past: Past
    truth: Truth
    watched: Watch
    figures: tuple[Facts, ...]  # of the model, then of each baseline
    outcomes: tuple[Outcome, ...]  # in the same order
    told: tuple[Told, ...]  # the model's episodes
    missed: tuple[Missed, ...]
    notes: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        """The model's facts."""
        return self.past.manifest

    @property
    def weeks(self) -> float:
        """The series-weeks that count."""
        return counting_weeks(self.manifest, self.watched)

    @property
    def false(self) -> tuple[Told, ...]:
        """The model's false episodes that count."""
        wrong = {(alert.series, alert.start) for alert in self.outcomes[0].false}
        return tuple(one for one in self.told if (one.alert.series, one.alert.start) in wrong)

    def facts(self) -> Facts:
        """Everything, as JSON can hold it."""
        return {
            **about(self.past, self.watched, self.notes),
            "counted": {
                "series_weeks": self.weeks,
                "events": sum(self.truth.counted),
                "events_in_sample": len(self.truth.counted) - sum(self.truth.counted),
                "series_with_events": len(judged(self.truth)),
            },
            "figures": list(self.figures),
            "events": self.events(),
            "false": [episode(one, self.manifest) for one in self.false],
        }

    def events(self) -> list[Facts]:
        """The events that count, by start: who found each, and how late the model did."""
        missed = {one.event: one for one in self.missed}
        names = [one["name"] for one in self.figures]
        return [
            _event(columns, names, missed.get(columns[0].event))
            for columns in zip(*(one.found for one in self.outcomes), strict=True)
        ]


def _event(columns: Sequence[Found], names: Sequence[str], missed: Missed | None) -> Facts:
    own_found = columns[0]
    event, alert = own_found.event, own_found.alert
    found: Facts = {"series": event.series, "start": event.start, "end": event.end, "found": alert is not None}
    found["known"] = None if alert is None else alert.known
    found["delay_s"] = None if own_found.delay is None else own_found.delay / 1000
    found["found_by"] = [name for name, one in zip(names, columns, strict=True) if one.alert is not None]
    if missed is not None:
        found |= {"peak": missed.peak, "peak_time": missed.peak_time, "channels": blame(missed.channels)}
    return found


def evaluate(artifact: Artifact, asked: Question, stage: Stage) -> Evaluation:
    """Hold a model and baselines against labels.

    Raises DataError where no label counts, or what the model was trained on is not there; ConfigError; ArtifactError.
    """
    manifest, table = artifact.manifest, asked.table
    truth = Truth.of(table, manifest, asked.labels)
    wanted = [name for name in asked.baselines if name != manifest.autoencoder]
    trained = Trained.again(manifest, asked.config, asked.gather) if wanted else None
    scorer, rules = Scorer(artifact, asked.config.serving.device), asked.config.rules()
    past = look_back(scorer, Stored.of(table, manifest), rules, stage("alerts"))
    contenders = [contender(manifest.version or manifest.name, past, table, stage("scores"))]
    if trained is not None:
        contenders += [baseline(name, trained, past, table, stage) for name in wanted]
    return _held(past, truth, contenders, (*truth.notes, *_notes(asked, manifest, trained)))


def _held(past: Past, truth: Truth, contenders: Sequence[Contender], notes: tuple[str, ...]) -> Evaluation:
    watched = watch(past)
    weeks = counting_weeks(past.manifest, watched)
    held = [Outcome.of(truth, one, past.manifest.window.length_ms) for one in contenders]
    figures = [outcome(truth, one, result, weeks) for one, result in zip(contenders, held, strict=True)]
    told = past.episodes(own(past.manifest).thresholds, explained=True)
    unfound = [one.event for one in held[0].found if one.alert is None]
    missed = tuple(missed_events(past, unfound))
    return Evaluation(past, truth, watched, tuple(figures), tuple(held), tuple(told), missed, notes)


def counting_weeks(manifest: Manifest, watched: Watch) -> float:
    """The series-weeks in which windows lie outside of what the model has learnt from."""
    return watched.weeks - watched.learnt(learnt_spans(manifest))


def missed_events(past: Past, events: Sequence[Event]) -> list[Missed]:
    """What the model saw in events that it missed: the highest score of a window that reaches into each."""
    windows, scores = past.windows, past.scores(own(past.manifest).thresholds)
    explain = Explanations(past, scores).of(0)
    counted = windows.observed >= past.rules.policy.min_observed
    index = {name: at for at, name in enumerate(past.stored.names)}
    found = []
    for event in events:
        inside = counted & (past.series == index.get(event.series, -1))
        rows: NDArray[np.int64] = np.flatnonzero(inside & (windows.end > event.start) & (windows.start < event.end))
        if not len(rows):
            found.append(Missed(event, None, None, ()))
            continue
        best = int(rows[scores.score[rows].argmax()])
        found.append(Missed(event, float(scores.score[best]), int(windows.end[best]), explain(best)))
    return found


def _notes(asked: Question, manifest: Manifest, trained: Trained | None) -> list[str]:
    notes = []
    if manifest.autoencoder in asked.baselines:
        notes.append(f"the model is itself {manifest.autoencoder}, so that it is not shown as a baseline again")
    left_out = (manifest.report.get("left_out") or {}).get("spans", 0)
    known = 0 if trained is None else len(trained.gathered.left_out)
    if trained is not None and left_out != known:
        notes.append(f"of what the model was trained on, it left {left_out} times out; the baselines left {known} out")
    if manifest.report.get("refit"):
        notes.append("the model was fitted once more on all its spans when it was judged, so that all are in-sample")
    return notes
