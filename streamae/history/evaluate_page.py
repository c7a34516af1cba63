"""An evaluation as one page: the table, then a look at each event that was missed and each episode that was false."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streamae.history import document, evaluate_report, plots
from streamae.history.candidates import own
from streamae.history.document import escaped
from streamae.history.evaluate import Evaluation
from streamae.history.stored import Cuts
from streamae.history.zooms import around
from streamae.subscriber import moment
from streamae.training.matching import Event

MOST = 20  # events, and episodes, that are plotted
BLAMED = 3  # channels of each
FAR = 6  # windows on each side of what is plotted, at least
LONG = 48  # windows of which channels are plotted, at most: of a longer time, those at its highest score


class Look(NamedTuple):
    """A time to look at, and what is to be blamed for its highest score."""

    time: Event
    peak_time: int
    channels: tuple[str, ...]
    says: str


def write_page(out: Path, found: Evaluation) -> None:
    """Write the page aside and rename it. Raises DataError where that cannot be."""
    document.write(out, document.document(f"Evaluation of {found.manifest.name}", body(found)))


def body(found: Evaluation) -> str:
    """What the page shows, to stand in another page as well."""
    title = f"<h1>Evaluation of {escaped(found.manifest.name)} {escaped(found.manifest.version)}</h1>"
    parts = [title, document.paragraphs(evaluate_report.head(found)), table(found), _legend()]
    plotter = Plotter(found)
    for kind, looks in (("Missed event", _missed(found)), ("False episode", _false(found))):
        shown = f"the first {MOST} of {len(looks)}" if len(looks) > MOST else str(len(looks) or "none")
        parts.append(f"<h2>{kind}s: {shown}</h2>")
        parts += [plotter.figure(f"{kind} {at}, {look.says}", look) for at, look in enumerate(looks[:MOST], start=1)]
    return "\n".join(parts)


def table(found: Evaluation) -> str:
    """The model beside its baselines, and how to read that."""
    drawn = document.table("Held against labels", evaluate_report.table(found))
    return drawn + document.paragraphs(evaluate_report.explained(found))


def _legend() -> str:
    calm, alert, label = (f'<b class="{name}">{{}}</b>'.format for name in ("calm", "alert", "label"))
    return (
        f"<p>Each plot of scores: {calm('line')}, the highest score of each pixel; {alert('dashed')}, a score of 1, "
        f"above which a window is anomalous; {alert('shaded')}, alerts; {label('at the bottom')}, labelled events; "
        f"grey, what the model was trained on. Below it the channels to blame: {calm('line')}, measured; "
        f"{label('dashed')}, what the model expected.</p>"
    )


def _missed(found: Evaluation) -> list[Look]:
    looks = []
    for one in found.missed:
        peak = one.event.start if one.peak_time is None else one.peak_time
        names = tuple(channel.name for channel in one.channels[:BLAMED])
        looks.append(Look(one.event, peak, names, evaluate_report.missed(one)))
    return looks


def _false(found: Evaluation) -> list[Look]:
    looks = []
    for one in sorted(found.false, key=lambda told: told.alert.start):
        alert = one.alert
        says = f"{alert.series} {moment(alert.start)} to {moment(one.until)}: highest score {alert.peak.score:.3g}"
        names = tuple(channel.name for channel in alert.channels[:BLAMED])
        looks.append(Look(Event(alert.series, alert.start, one.until), alert.peak.time, names, says))
    return looks


class Plotter:
    """Draws what the model saw around a time."""

    def __init__(self, found: Evaluation) -> None:
        self._found, self._past = found, found.past
        self._score = found.past.scores(own(found.manifest).thresholds).score
        self._counted = found.past.windows.observed >= found.past.rules.policy.min_observed
        self._cuts = Cuts(found.past.stored)

    def figure(self, says: str, look: Look) -> str:
        """Scores around a time, and below them the channels to blame."""
        short = "; channels only around its highest score" if self._short(look) != look.time else ""
        return document.figure(says + short, *self._drawn(says, look))

    def _drawn(self, says: str, look: Look) -> Iterator[str]:
        past, time, window = self._past, look.time, self._past.manifest.window
        far = max(FAR * window.length_ms, (time.end - time.start) // 2)
        bounds = time.start - far, time.end + far
        ends = past.windows.end
        near = self._counted & (past.series == past.stored.names.index(time.series))
        rows = np.flatnonzero(near & (ends > bounds[0]) & (ends <= bounds[1]))
        drawn = ends[rows], self._score[rows], bounds, self.marks(time.series, bounds)
        yield plots.scores(*drawn, f"Scores around {says}")
        if look.channels:
            seen = around(past, self._cuts, self._short(look), look.channels)
            alt = f"Channels {', '.join(look.channels)} around {says}"
            yield plots.zoom(seen, self.marks(time.series, (int(seen.time[0]), int(seen.time[-1])), False), alt)

    def _short(self, look: Look) -> Event:
        most = LONG * self._past.manifest.window.length_ms
        if look.time.end - look.time.start <= most:
            return look.time
        start = min(max(look.peak_time - most // 2, look.time.start), look.time.end - most)
        return Event(look.time.series, start, start + most)

    def marks(self, series: str, bounds: tuple[int, int], spans: bool = True) -> plots.Marks:
        """What lies in a time: plots would grow with what does not."""
        low, high = bounds
        told = [(one.alert.start, one.until) for one in self._found.told if one.alert.series == series]
        labels = [(event.start, event.end) for event in self._found.truth.events if event.series == series]
        known = [(name, span.start, span.end) for name, span in self._found.manifest.spans.items()] if spans else []
        episodes, labels = ([(a, b) for a, b in times if b > low and a < high] for times in (told, labels))
        return plots.Marks(episodes, labels, sorted(known, key=lambda one: one[1]))
