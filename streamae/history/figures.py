"""Figures: what a candidate's alerts come to, in the part that the model learnt from and in the part that it did not.

A window belongs to the span that holds its middle, and an episode to the one that holds its start, which is the middle
of its first window. Time is watched where a window counts: a stride for each. B windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamae.detection.alerts import ChannelShare
from streamae.detection.manifest import Manifest
from streamae.history.candidates import Candidate
from streamae.history.past import Past, Told
from streamae.training.matching import WEEK_MS, Alerted, Event, Match, match

MOST = 5  # series that are named
UNSEEN = "unseen"
LEARNT = ("fit", "calibrate")

Facts = dict[str, Any]


class Watch(NamedTuple):
    """How long the series were watched, in series-weeks: in all, and in each span of the model."""

    weeks: float
    spans: dict[str, float]  # fit, calibrate, judge, and `unseen` for every other time

    def learnt(self, learnt: Sequence[str]) -> float:
        """Of spans that the model learnt from."""
        return sum(self.spans.get(name, 0.0) for name in learnt)


def learnt_spans(manifest: Manifest) -> tuple[str, ...]:
    """The spans that the model has learnt from: alerts in them are in-sample."""
    return (*LEARNT, "judge") if manifest.report.get("refit") else LEARNT


def span_of(manifest: Manifest, time: NDArray[np.int64]) -> NDArray[Any]:
    """The name of the span [B] that each event time lies in."""
    found = np.full(len(time), UNSEEN, dtype=object)
    for name, span in manifest.spans.items():
        found[(time >= span.start) & (time < span.end)] = name
    return found


def watch(past: Past) -> Watch:
    """How long the past was watched."""
    windows, window = past.windows, past.manifest.window
    counted = windows.observed >= past.rules.policy.min_observed
    each = window.stride * window.cadence_ms / WEEK_MS
    spans = span_of(past.manifest, (windows.start[counted] + windows.end[counted]) // 2)
    return Watch(int(counted.sum()) * each, {name: int(count) * each for name, count in Counter(spans).items()})


def about(past: Past, watched: Watch, notes: Sequence[str]) -> Facts:
    """What was looked at, and what the model has learnt from."""
    manifest, stored = past.manifest, past.stored
    return {
        "model": manifest.name,
        "version": manifest.version,
        "start": int(stored.time.min()),
        "end": int(stored.time.max()),
        "readings": len(stored),
        "series": len(stored.names),
        "windows": len(past.windows),
        "series_weeks": watched.weeks,
        "series_weeks_by_span": watched.spans,
        "spans": {name: {"start": span.start, "end": span.end} for name, span in manifest.spans.items()},
        "in_sample": list(learnt_spans(manifest)),
        "notes": list(notes),
    }


def episode(one: Told, manifest: Manifest) -> Facts:
    """What is known of an episode."""
    alert = one.alert
    span = str(span_of(manifest, np.array([alert.start]))[0])
    found: Facts = {"id": alert.id, "series": alert.series, "start": alert.start, "end": alert.end}
    found |= {"until": one.until, "known": one.known, "state": alert.state, "reason": alert.reason}
    found |= {"peak": alert.peak.score, "peak_time": alert.peak.time, "confirmed": alert.confirmed}
    found |= {"observed": alert.observed, "span": span, "in_sample": span in learnt_spans(manifest)}
    found["channels"] = blame(alert.channels)
    return found


def blame(channels: Sequence[ChannelShare]) -> list[Facts]:
    """The channels to blame, as JSON can hold them."""
    return [{"name": of.name, "share": of.share, "expected": of.expected, "actual": of.actual} for of in channels]


def matched(told: Sequence[Told], events: Sequence[Event], slack_ms: int) -> Match:
    """The episodes held against labelled events."""
    alerts = [Alerted(one.alert.series, one.alert.start, one.alert.end, one.known) for one in told]
    return match(alerts, events, slack_ms)


def figures(
    past: Past, candidate: Candidate, told: Sequence[Told], watched: Watch, events: Sequence[Event] | None
) -> Facts:
    """What a candidate comes to. Without labels, nothing is said of events."""
    learnt = learnt_spans(past.manifest)
    where = span_of(past.manifest, np.array([one.alert.start for one in told], np.int64)).tolist()
    inside = sum(span in learnt for span in where)
    weeks_inside = watched.learnt(learnt)
    found: Facts = {
        "name": candidate.name,
        "factor": candidate.factor,
        "budget": candidate.budget,
        "threshold": candidate.thresholds.fleet.error,
        "alerts": len(told),
        "per_series_week": rate(len(told), watched.weeks),
        "in_sample": {"alerts": inside, "per_series_week": rate(inside, weeks_inside)},
        "out_of_sample": {
            "alerts": len(told) - inside,
            "per_series_week": rate(len(told) - inside, watched.weeks - weeks_inside),
        },
        "by_span": dict(Counter(where)),
        "share_in_alert": share_in_alert(told, watched.weeks),
        "longest_s": max((one.until - one.alert.start for one in told), default=0) / 1000,
        "worst_series": [list(one) for one in Counter(one.alert.series for one in told).most_common(MOST)],
    }
    if events is None:
        return found
    result = matched(told, events, past.manifest.window.length_ms)
    delays = [one.delay for one in result.events if one.delay is not None]
    found["labels"] = {
        "events": len(result.events),
        "found": result.found,
        "false": len(result.false),
        "false_per_series_week": rate(len(result.false), watched.weeks),
        "median_delay_s": float(np.median(delays)) / 1000 if delays else None,
    }
    return found


def share_in_alert(told: Sequence[Told], weeks: float) -> float:
    """The share of the time that was watched in which an episode was on."""
    return min(sum(one.until - one.alert.start for one in told) / max(weeks * WEEK_MS, 1), 1.0)


def rate(count: int, weeks: float) -> float | None:
    """A count per series and week; None where nothing was watched for long enough to have a window."""
    return count / weeks if weeks > 1e-9 else None
