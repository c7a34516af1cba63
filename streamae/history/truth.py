"""Truth: what labels say of stored readings, and which part of it counts.

What a model has learnt from says nothing about it: an event counts where none of it lies in a span that the model has
learnt from, and time where it lies outside of these spans. N rows, S series.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamae.detection.manifest import Manifest, Span
from streamae.errors import DataError, some
from streamae.history.figures import learnt_spans
from streamae.training.files import Table, moment
from streamae.training.matching import Event

SHOWN = 5  # names in a sentence

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Stored rows [N] by series and, within one, by time."""

    table: Table
    order: Ints  # [N] of the table's rows
    begin: Ints  # [S + 1] where the rows of each series begin
    time: Ints  # [N] ms

    @classmethod
    def of(cls, table: Table) -> Self:
        """The rows of a table, sorted."""
        order = np.lexsort((table.time, table.series))
        begin = np.searchsorted(table.series[order], np.arange(len(table.names) + 1))
        return cls(table, order, begin, table.time[order])

    def of_series(self, at: int) -> slice:
        """The rows of the series with this index."""
        return slice(int(self.begin[at]), int(self.begin[at + 1]))

    def within(self, times: Iterable[tuple[str, int, int]]) -> Flags:
        """Which rows [N] lie in any of these times (series, start, end)."""
        index = {name: at for at, name in enumerate(self.table.names)}
        found = np.zeros(len(self.order), np.bool_)
        for series, start, end in times:
            rows = self.of_series(index[series])
            low, high = np.searchsorted(self.time[rows], [start, end]) + rows.start
            found[low:high] = True
        return found

    def ticks(self, cadence_ms: int) -> Flags:
        """Of each tick of a series in which anything was measured, one row [N]."""
        sound = np.flatnonzero(np.isfinite(self.table.values[self.order]).any(axis=1))
        series, tick = self.table.series[self.order][sound], self.time[sound] // cadence_ms
        first = np.append(True, (np.diff(tick) != 0) | (np.diff(series) != 0))[: len(sound)]
        found = np.zeros(len(self.order), np.bool_)
        found[sound[first]] = True
        return found


@dataclass(frozen=True)
class Truth:
    """Labelled events on stored rows [N], and what of both counts."""

    rows: Rows
    learnt: tuple[Span, ...]  # that the model has learnt from
    events: tuple[Event, ...]  # that lie in the readings, by start
    counted: tuple[bool, ...]  # of each event
    unseen: Flags  # [N] outside of what was learnt from
    labelled: Flags  # [N]
    normal: Flags  # [N] one row of each tick that is unseen and not labelled
    notes: tuple[str, ...]

    @classmethod
    def of(cls, table: Table, manifest: Manifest, labels: Sequence[Event]) -> Self:
        """What labels say of the readings of a model. Raises DataError where nothing of it would count."""
        rows = Rows.of(table)
        known = _learnt(manifest)
        learnt = tuple(known.values())
        events, notes = _inside(rows, labels)
        counted = tuple(not any(_overlap(event, span) for span in learnt) for event in events)
        if not any(counted):
            raise DataError(_all_in_sample(events, manifest))
        if not all(counted):
            names = " and ".join(known)
            notes += (
                f"{counted.count(False)} of {len(events)} labelled events lie in {names}, which the model has learnt "
                "from: they do not count",
            )
        unseen = ~np.logical_or.reduce([(rows.time >= span.start) & (rows.time < span.end) for span in learnt])
        labelled = rows.within(events)
        normal = unseen & ~labelled & rows.ticks(manifest.window.cadence_ms)
        return cls(rows, learnt, events, counted, unseen, labelled, normal, notes)

    def counts(self, time: int) -> bool:
        """Whether an event time (ms) lies outside of what was learnt from."""
        return not any(span.start <= time < span.end for span in self.learnt)

    @property
    def counting(self) -> list[Event]:
        """The events that count."""
        return [event for event, counts in zip(self.events, self.counted, strict=True) if counts]


def _inside(rows: Rows, labels: Sequence[Event]) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """The events in the time of their series' readings, and how many are not. Raises DataError where none is."""
    names = rows.table.names
    if not labels:
        raise DataError("labels: there is no event in them; give at least one, with its series, start and end")
    strangers = sorted({one.series for one in labels} - set(names))
    known = [one for one in labels if one.series in set(names)]
    if not known:
        raise DataError(
            f"labels: of series {some(strangers, SHOWN)}, and the readings are of {some(names, SHOWN)}: "
            "name the series as the readings do"
        )
    bounds = {name: rows.time[rows.of_series(at)][[0, -1]].tolist() for at, name in enumerate(names)}
    inside = [one for one in known if one.end > bounds[one.series][0] and one.start <= bounds[one.series][1]]
    if not inside:
        first, last = (moment(int(time)) for time in (rows.time.min(), rows.time.max()))
        raise DataError(
            f"labels: none of {len(known)} events, {moment(min(one.start for one in known))} to "
            f"{moment(max(one.end for one in known))}, lies in the time of the readings, {first} to {last}: "
            "give readings of the same time"
        )
    notes = []
    if strangers:
        lost = len(labels) - len(known)
        notes.append(
            f"{lost} of {len(labels)} labelled events are of series without readings: {some(strangers, SHOWN)}"
        )
    if len(inside) < len(known):
        notes.append(f"{len(known) - len(inside)} labelled events lie outside of the time of their series' readings")
    return tuple(sorted(inside, key=lambda one: (one.start, one.series))), tuple(notes)


def _all_in_sample(events: Sequence[Event], manifest: Manifest) -> str:
    learnt = [f"{name} ({moment(span.start)} to {moment(span.end)})" for name, span in _learnt(manifest).items()]
    again = ", for it was fitted once more on all its spans" if manifest.report.get("refit") else ""
    return (
        f"labels: everything is in-sample: all {len(events)} events lie in {' and '.join(learnt)}, which the model has "
        f"learnt from{again}, so that figures would say nothing; give readings and labels of another time"
    )


def _learnt(manifest: Manifest) -> dict[str, Span]:
    return {name: manifest.spans[name] for name in learnt_spans(manifest) if name in manifest.spans}


def _overlap(event: Event, span: Span) -> bool:
    return event.end > span.start and event.start < span.end
