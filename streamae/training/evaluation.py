"""Evaluation: what a model does on stored readings, by the code that serves.

Stored readings become columns in the order of their event time, go through the same Detector, and give the same
alerts. N readings, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streamae.detection.detector import Detector, Rules
from streamae.detection.episodes import Place
from streamae.detection.manifest import Span
from streamae.detection.readings import Readings
from streamae.detection.scoring import Scorer
from streamae.training.matching import WEEK_MS, Alerted, Event, Match, match, per_series_week
from streamae.training.series import Stretch, within

BATCH = 4096  # readings at a time


@dataclass(frozen=True)
class Judged:
    """What happened on the judge span."""

    alerts: int
    false_per_week: float  # alerts that touch no labelled event, per series and week
    series: int
    weeks: float
    allowed: float  # false alerts that the budget allows in this span
    match: Match


def judge(scorer: Scorer, parts: Sequence[Stretch], rules: Rules, events: Sequence[Event] = ()) -> Judged:
    """Detect in all stretches as if they arrived now, and count the alerts that reach into the judge span.

    The readings before the span fill the windows, as they would have.
    """
    window, span = scorer.artifact.manifest.window, scorer.artifact.manifest.spans["judge"]
    before = Span(start=span.start - window.length_ms, end=span.end)
    judged = within(parts, before, window)
    alerts = [one for one in alerted(scorer, judged, rules) if one.end is None or one.end > span.start]
    series = len({part.series for part in judged})
    seen = [event for event in events if event.end > span.start and event.start < span.end]
    result = match(alerts, seen, window.length_ms)
    duration = span.end - span.start
    rate = per_series_week(len(result.false), series, duration)
    weeks = duration / WEEK_MS
    allowed = scorer.artifact.manifest.budget_per_week * series * weeks
    return Judged(len(alerts), rate, series, weeks, allowed, result)


def alerted(scorer: Scorer, parts: Sequence[Stretch], rules: Rules) -> list[Alerted]:
    """The episodes that the Detector finds in stored readings, each with when it was said (event time, ms)."""
    manifest = scorer.artifact.manifest
    detector = Detector(scorer, rules, Place(manifest.name, "stored", 0))
    episodes: dict[str, Alerted] = {}
    for readings in columns(parts, manifest.window.cadence_ms):
        for alert in detector.push(readings).alerts:
            closed_by = alert.source.last - int(readings.offset[0])  # the reading that closed its newest window
            known = episodes[alert.id].known if alert.id in episodes else int(readings.time[closed_by])
            episodes[alert.id] = Alerted(alert.series, alert.start, alert.end, known)
    return sorted(episodes.values(), key=lambda one: (one.known, one.series))


def columns(parts: Sequence[Stretch], cadence_ms: int) -> Iterator[Readings]:
    """Stretches as readings of one partition: by event time, silent ticks left out, offsets counted from 0."""
    names = tuple(sorted({part.series for part in parts}))
    index = {name: at for at, name in enumerate(names)}
    if not parts:
        return
    time = np.concatenate([(part.first + np.arange(len(part.grid))) * cadence_ms for part in parts])
    series = np.concatenate([np.full(len(part.grid), index[part.series], np.int32) for part in parts])
    values = np.concatenate([part.grid for part in parts])
    order = np.lexsort((series, time))
    order = order[~np.isnan(values[order]).all(axis=1)]
    for at in range(0, len(order), BATCH):
        rows = order[at : at + BATCH]
        there, place = np.unique(series[rows], return_inverse=True)  # a batch names the series that occur in it
        named = tuple(names[one] for one in there.tolist())
        offset = np.arange(at, at + len(rows), dtype=np.int64)
        yield Readings(named, place.astype(np.int32), time[rows].astype(np.int64), values[rows], offset)


def facts(judged: Judged) -> dict[str, float | int]:
    """The figures of a judge span, for a report."""
    figures: dict[str, float | int] = {
        "series": judged.series,
        "weeks": round(judged.weeks, 3),
        "alerts": judged.alerts,
        "false": len(judged.match.false),
        "allowed": round(judged.allowed, 2),
        "false_per_week": round(judged.false_per_week, 3),
    }
    if judged.match.events:
        delays = [one.delay for one in judged.match.events if one.delay is not None]
        figures |= {"events": len(judged.match.events), "found": judged.match.found}
        figures |= {"median_delay_s": round(float(np.median(delays)) / 1000, 1)} if delays else {}
    return figures
