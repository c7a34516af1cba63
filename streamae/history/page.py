"""A backtest as one page: it holds all that it shows, fetches nothing, and needs no script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from streamae.history import document, plots, report
from streamae.history.backtest import Backtest
from streamae.history.document import escaped
from streamae.history.figures import UNSEEN, Facts
from streamae.history.past import Told
from streamae.history.stored import Cuts
from streamae.history.zooms import around
from streamae.subscriber import moment
from streamae.training.matching import Event

PLOTS = 24  # series that are plotted, those with most alerts first
ZOOMS = 6  # episodes whose channels are plotted, the highest peaks first
TOLD = 300  # episodes in the table
ZOOMED = 3  # channels of an episode


def write_page(out: Path, found: Backtest) -> None:
    """Write the page aside and rename it. Raises DataError where that cannot be."""
    document.write(out, document.document(f"Backtest of {found.manifest.name}", body(found)))


def body(found: Backtest) -> str:
    """What the page shows, to stand in another page as well."""
    facts = found.facts()
    title = f"<h1>Backtest of {escaped(found.manifest.name)} {escaped(found.manifest.version)}</h1>"
    parts = [title, document.paragraphs(report.head(facts))]
    parts += [candidates(found), f"<h2>Scores by series, {escaped(found.shown.name)}</h2>", _legend(found)]
    parts += [*_series(found), *_zooms(found), _episodes(found, facts["episodes"])]
    return "\n".join(parts)


def candidates(found: Backtest) -> str:
    """The candidates as a table: a row a figure."""
    return document.table("Thresholds", report.rows(found))


def _legend(found: Backtest) -> str:
    plotted = min(PLOTS, len(found.past.stored.names))
    of = len(found.past.stored.names)
    which = f"All {of} series" if plotted == of else f"{plotted} of {of} series, those with most alerts first"
    labels = ', <b class="label">labelled events</b> at the bottom' if found.events is not None else ""
    return (
        f'<p>{which}. <b class="calm">Line</b>: the highest score of each pixel. <b class="alert">Dashed</b>: a score '
        f'of 1, above which a window is anomalous; <b class="alert">shaded</b>: alerts{labels}; grey: what the model '
        "was trained on.</p>"
    )


def _series(found: Backtest) -> Iterator[str]:
    past, stored = found.past, found.past.stored
    score = past.scores(found.shown.thresholds).score
    counted = past.windows.observed >= past.rules.policy.min_observed
    told = defaultdict(list)
    for one in found.told:
        told[one.alert.series].append(one)
    bounds = int(stored.time.min()), stored.end
    peaks = np.zeros(len(stored.names))
    np.maximum.at(peaks, past.series[counted], score[counted])
    order = sorted(range(len(peaks)), key=lambda at: (-len(told[stored.names[at]]), -peaks[at]))
    for at in order[:PLOTS]:
        name = stored.names[at]
        rows = np.flatnonzero(counted & (past.series == at))
        says = f"{name}: {len(told[name])} alerts, highest score {peaks[at]:.3g}"
        alt = f"Scores over time of {says}"
        drawn = plots.scores(past.windows.end[rows], score[rows], bounds, _marks(found, name, told[name]), alt)
        yield document.figure(says, drawn)


def _zooms(found: Backtest) -> Iterator[str]:
    worst = sorted(found.told, key=lambda one: -one.alert.peak.score)[:ZOOMS]
    if worst:
        yield f"<h2>The {len(worst)} highest peaks</h2><p>Line: measured. Dashed: what the model expected.</p>"
    cuts = Cuts(found.past.stored)
    for one in worst:
        alert = one.alert
        says = f"{alert.series}, {moment(alert.start)} to {moment(one.until)}: score {alert.peak.score:.3g}"
        names = [channel.name for channel in alert.channels[:ZOOMED]]
        seen = around(found.past, cuts, Event(alert.series, alert.start, one.until), names)
        drawn = plots.zoom(seen, _marks(found, alert.series, [one], False), f"{says}; {', '.join(names)}")
        yield document.figure(says, drawn)


def _marks(found: Backtest, series: str, told: list[Told], spans: bool = True) -> plots.Marks:
    labels = [(event.start, event.end) for event in found.events or () if event.series == series]
    known = [(name, span.start, span.end) for name, span in found.manifest.spans.items()] if spans else []
    return plots.Marks([(one.alert.start, one.until) for one in told], labels, sorted(known, key=lambda one: one[1]))


def _episodes(found: Backtest, episodes: list[Facts]) -> str:
    shown = f"the first {TOLD} of {len(episodes)}" if len(episodes) > TOLD else str(len(episodes))
    labelled = found.events is not None
    head = [
        "span",
        *(["label"] if labelled else []),
        "series",
        "start",
        "end",
        "peak",
        "what the alert would have said",
    ]
    lines = []
    for one in episodes[:TOLD]:
        cells = [one["span"] if one["span"] != UNSEEN else "out of sample"]
        cells += [("true" if one["true"] else "false") if labelled else ""][: len(head) - 6]
        end = moment(one["end"]) if one["end"] is not None else "still firing"
        cells += [one["series"], moment(one["start"]), end, f"{one['peak']:.3g}", one["said"]]
        lines.append("".join(f"<td>{escaped(cell)}</td>" for cell in cells))
    rows = "".join(f"<tr>{cells}</tr>" for cells in lines)
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    caption = f"<caption>Alerts {escaped(found.shown.name)}: {shown}</caption>"
    return f'<h2>Alerts</h2><div class="wide"><table>{caption}<tr>{columns}</tr>{rows}</table></div>'
