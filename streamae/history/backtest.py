"""Backtest: the detection that serves, over stored readings, with thresholds to choose from.

Windows are made and scored once; only the tracking of episodes is done again for each candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from streamae.config import Episodes, Windows
from streamae.detection.detector import Rules
from streamae.detection.manifest import Manifest
from streamae.detection.scoring import Scorer
from streamae.errors import some
from streamae.history.candidates import Asked, Candidate, candidates
from streamae.history.figures import Facts, Watch, about, episode, figures, matched, watch
from streamae.history.past import Past, Told, look_back
from streamae.history.scoring import Progress
from streamae.history.stored import Stored
from streamae.subscriber import line
from streamae.training.files import Table
from streamae.training.matching import Event


@dataclass(frozen=True)
class Backtest:
    """What a model would have said of a history, under each candidate."""

    past: Past
    watched: Watch
    candidates: tuple[Candidate, ...]
    figures: tuple[Facts, ...]  # of each candidate
    shown: Candidate  # whose episodes are told: the one that was asked for, else the model's own
    told: tuple[Told, ...]
    events: tuple[Event, ...] | None  # the labels that lie in this history; None where none were given
    notes: tuple[str, ...]  # what a reader should know

    @property
    def manifest(self) -> Manifest:
        """The model's facts."""
        return self.past.manifest

    def facts(self) -> Facts:
        """Everything, as JSON can hold it."""
        return {
            **about(self.past, self.watched, self.notes),
            "candidates": list(self.figures),
            "shown": self.shown.name,
            "episodes": self.episodes(),
        }

    def episodes(self) -> list[Facts]:
        """The episodes of the shown candidate, by when they fired."""
        return [self._episode(one) for one in self.told]

    def _episode(self, one: Told) -> Facts:
        found = episode(one, self.manifest)
        if self.events is not None:
            result = matched([one], self.events, self.manifest.window.length_ms)
            found["true"] = not result.false
        found["said"] = Text.from_markup(line(one.alert)).plain
        return found


def backtest(scorer: Scorer, table: Table, rules: Rules, asked: Asked, progress: Progress | None = None) -> Backtest:
    """Look back on stored readings under the asked thresholds.

    Raises DataError where there is nothing to look at, or no calibrate span for a budget.
    """
    past = look_back(scorer, Stored.of(table, scorer.artifact.manifest), rules, progress)
    tried = candidates(past, asked)
    events, notes = _within(past, asked.labels)
    shown = tried[1] if len(tried) == 2 and len(asked.factors) + len(asked.budgets) == 1 else tried[0]
    watched = watch(past)
    told = {one.name: past.episodes(one.thresholds, explained=one is shown) for one in tried}
    return Backtest(
        past,
        watched,
        tuple(tried),
        tuple(figures(past, one, told[one.name], watched, events) for one in tried),
        shown,
        tuple(told[shown.name]),
        events,
        (*notes, *_notes(past, asked)),
    )


def usual_rules(manifest: Manifest) -> Rules:
    """What serving goes by where a config says nothing."""
    window = manifest.window
    windows = Windows(cadence_s=window.cadence_ms / 1000, length=window.length, stride=window.stride)
    return Rules(lateness=windows.lateness(), policy=Episodes().policy(windows))


def _within(past: Past, labels: Sequence[Event] | None) -> tuple[tuple[Event, ...] | None, list[str]]:
    """The labels that lie in the history, and how many do not."""
    if labels is None:
        return None, []
    first, last = int(past.stored.time.min()), int(past.stored.time.max())
    known = set(past.stored.names)
    inside = tuple(one for one in labels if one.series in known and one.end > first and one.start <= last)
    lost = len(labels) - len(inside)
    return inside, [f"{lost} of {len(labels)} labelled events lie outside this history"] if lost else []


def _notes(past: Past, asked: Asked) -> list[str]:
    manifest = past.manifest
    notes = []
    if manifest.report.get("refit"):
        notes.append(
            "this model was fitted once more on all its spans after its thresholds were found: fit, calibrate and "
            "judge are all in-sample"
        )
        if asked.budgets:
            notes.append("budgets are calibrated on readings that it was fitted on, so they give more alerts than said")
    strangers = sorted(set(past.stored.names) - set(past.scorer.artifact.profiles.series))
    if strangers:
        notes.append(f"the model does not know {some(strangers, 5)}: the fleet's profile holds for them")
    return notes
