"""Matching: alerts against labelled events, event by event.

An alert is true where its time touches that of an event of its series, plus slack; it is false otherwise. An event is
found where an alert touches it; its delay is from its start to the first moment at which an alert could be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

WEEK_MS = 604_800_000


class Alerted(NamedTuple):
    """A stretch of time in which a series was held to be anomalous. Times in ms; `end` None: it has not ended."""

    series: str
    start: int
    end: int | None
    known: int  # event time at which it was said, at the earliest


class Event(NamedTuple):
    """A labelled time [start, end) in ms in which a series was anomalous."""

    series: str
    start: int
    end: int


class Found(NamedTuple):
    """What became of an event: the first alert that touches it, and how long after its start that was said (ms)."""

    event: Event
    alert: Alerted | None
    delay: int | None


class Match(NamedTuple):
    """Events in the order given, and the alerts that touch none."""

    events: tuple[Found, ...]
    false: tuple[Alerted, ...]

    @property
    def found(self) -> int:
        """How many events an alert touches."""
        return sum(one.alert is not None for one in self.events)


def match(alerts: Iterable[Alerted], events: Sequence[Event], slack_ms: int = 0) -> Match:
    """Hold alerts against events.

    >>> bearing, leak = Event("pump-7", 100, 200), Event("pump-7", 500, 600)
    >>> result = match([Alerted("pump-7", 150, 220, 160), Alerted("pump-7", 300, 310, 305)], [bearing, leak])
    >>> result.found, result.events[0].delay, [alert.start for alert in result.false]
    (1, 60, [300])
    """
    by_series: dict[str, list[int]] = {}
    for at, event in enumerate(events):
        by_series.setdefault(event.series, []).append(at)
    first: dict[int, Alerted] = {}
    false = []
    for alert in sorted(alerts, key=lambda alert: (alert.known, alert.start)):
        touched = [at for at in by_series.get(alert.series, ()) if _touches(alert, events[at], slack_ms)]
        for at in touched:
            first.setdefault(at, alert)
        if not touched:
            false.append(alert)
    found = []
    for at, event in enumerate(events):
        alert_of = first.get(at)
        delay = max(alert_of.known - event.start, 0) if alert_of else None
        found.append(Found(event, alert_of, delay))
    return Match(tuple(found), tuple(false))


def per_series_week(count: int, series: int, duration_ms: int) -> float:
    """A count as a rate per series and week."""
    return count * WEEK_MS / max(series * duration_ms, 1)


def _touches(alert: Alerted, event: Event, slack_ms: int) -> bool:
    ended_before = alert.end is not None and alert.end < event.start
    return not ended_before and alert.start < event.end + slack_ms
