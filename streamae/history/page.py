"""A backtest as one page: it holds all that it shows, fetches nothing, and needs no script."""

from __future__ import annotations

import html
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from streamae.errors import DataError
from streamae.history import plots, report
from streamae.history.backtest import Backtest
from streamae.history.figures import UNSEEN, Facts
from streamae.history.past import Told
from streamae.history.stored import Cuts
from streamae.subscriber import moment

PLOTS = 24  # series that are plotted, those with most alerts first
ZOOMS = 6  # episodes whose channels are plotted, the highest peaks first
TOLD = 300  # episodes in the table
ZOOMED = 3  # channels of an episode
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --calm: #2b6cb0; --alert: #c53030; --label: #b7791f;
  --span: #8a94a6; --line: #d5dae2; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --ink: #e6e9ee; --calm: #7cb5ec; --alert: #ff7b72;
  --label: #f0b849; --span: #8a94a6; --line: #39414e; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 68rem; padding: 1rem; }
figure { margin: 0 0 1.5rem; } svg { width: 100%; height: auto; min-width: 34rem; }
figcaption { font-weight: 600; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; } caption { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top; }
.alert { color: var(--alert); } .label { color: var(--label); } .calm { color: var(--calm); }
"""


def write_page(out: Path, found: Backtest) -> None:
    """Write the page aside and rename it. Raises DataError where that cannot be."""
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        aside.write_text(page(found), encoding="utf-8")
        aside.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error}); name a file in a folder that can be") from error
    finally:
        aside.unlink(missing_ok=True)


def page(found: Backtest) -> str:
    """The whole page."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Backtest of {escaped(found.manifest.name)}</title><style>{STYLE}</style></head><body>",
            body(found),
            "</body></html>",
        ]
    )


def body(found: Backtest) -> str:
    """What the page shows, to stand in another page as well."""
    facts = found.facts()
    head = "".join(f"<p>{escaped(text)}</p>" for text in report.head(facts))
    parts = [f"<h1>Backtest of {escaped(found.manifest.name)} {escaped(found.manifest.version)}</h1>", head]
    parts += [candidates(found), f"<h2>Scores by series, {escaped(found.shown.name)}</h2>", _legend(found)]
    parts += [*_series(found), *_zooms(found), _episodes(found, facts["episodes"])]
    return "\n".join(parts)


def candidates(found: Backtest) -> str:
    """The candidates as a table: a row a figure."""
    rows = report.rows(found)
    head = "".join(f'<th scope="col">{escaped(one)}</th>' for one in rows[0])
    lines = "".join(
        f'<tr><th scope="row">{escaped(name)}</th>{"".join(f"<td>{escaped(one)}</td>" for one in values)}</tr>'
        for name, *values in rows[1:]
    )
    return f'<div class="wide"><table><caption>Thresholds</caption><tr>{head}</tr>{lines}</table></div>'


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
        yield f'<figure><figcaption>{escaped(says)}</figcaption><div class="wide">{drawn}</div></figure>'


def _zooms(found: Backtest) -> Iterator[str]:
    worst = sorted(found.told, key=lambda one: -one.alert.peak.score)[:ZOOMS]
    if worst:
        yield f"<h2>The {len(worst)} highest peaks</h2><p>Line: measured. Dashed: what the model expected.</p>"
    cuts = Cuts(found.past.stored)
    for one in worst:
        alert = one.alert
        says = f"{alert.series}, {moment(alert.start)} to {moment(one.until)}: score {alert.peak.score:.3g}"
        names = ", ".join(channel.name for channel in alert.channels[:ZOOMED])
        drawn = plots.zoom(_around(found, cuts, one), _marks(found, alert.series, [one], False), f"{says}; {names}")
        yield f'<figure><figcaption>{escaped(says)}</figcaption><div class="wide">{drawn}</div></figure>'


def _around(found: Backtest, cuts: Cuts, one: Told) -> plots.Zoomed:
    """The channels to blame, a window before an episode until one after it, with what the model expects of each."""
    manifest, window, alert = found.manifest, found.manifest.window, one.alert
    first = (alert.start - window.length_ms) // window.cadence_ms
    count = -(-(one.until - alert.start + 2 * window.length_ms) // window.length_ms)
    values = cuts.window(alert.series, first * window.cadence_ms, count * window.length)
    blocks = values.reshape(count, window.length, -1)
    expected = found.past.scorer.reconstruct(blocks, [alert.series] * count).reshape(values.shape)
    index = {channel.name: at for at, channel in enumerate(manifest.channels)}
    names = tuple(channel.name for channel in alert.channels[:ZOOMED])
    chosen = [index[name] for name in names]
    origin = np.array([manifest.channels[at].origin for at in chosen])
    expected = np.where(np.isnan(blocks).all(axis=(1, 2)).repeat(window.length)[:, None], np.nan, expected)
    time = (first + np.arange(len(values))) * window.cadence_ms
    return plots.Zoomed(time, values[:, chosen] + origin, expected[:, chosen] + origin, names)


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


def escaped(value: str) -> str:
    """Any text, as it stands in a page."""
    return html.escape(value)
