"""Plots of a backtest as SVG that stands in a page: its colours are the page's, and nothing is fetched from anywhere.

Scores are drawn as the highest of each pixel, so that no peak vanishes. B windows, T ticks, C channels.
"""

from __future__ import annotations

import html
import io
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import dates
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK, CALM, ALERT, LABEL, SPAN = "#010203", "#010204", "#010205", "#010206", "#010207"
COLOURS = {INK: "--ink", CALM: "--calm", ALERT: "--alert", LABEL: "--label", SPAN: "--span"}
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "streamae", "font.size": 9, "path.simplify": False}
STYLE |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
PIXELS = 900
WIDTH = 9.0  # inches of 72 units; the page scales it
LOWEST = 0.03  # scores below are drawn there: nothing happens in them

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]
Times = Iterable[tuple[int, int]]  # [start, end) in ms


class Marks(NamedTuple):
    """What is shaded on the axis of time, in ms."""

    episodes: Times = ()
    labels: Times = ()
    spans: Sequence[tuple[str, int, int]] = ()


class Zoomed(NamedTuple):
    """Some channels of a series around an episode."""

    time: Ints  # [T] ms
    actual: Doubles  # [T, C]
    expected: Doubles  # [T, C]
    names: tuple[str, ...]  # [C]


def highest(time: Ints, values: Doubles, bounds: tuple[int, int], pixels: int = PIXELS) -> tuple[Ints, Doubles]:
    """The highest value of each pixel: times [P] in its middle, values [P], NaN where there is none."""
    start, end = bounds
    edges = np.linspace(start, max(end, start + pixels), pixels + 1)
    at = np.clip(np.searchsorted(edges, time, "right") - 1, 0, pixels - 1)
    found = np.full(pixels, -np.inf)
    np.maximum.at(found, at, values)
    middle = ((edges[:-1] + edges[1:]) / 2).astype(np.int64)
    return middle, np.where(np.isinf(found), np.nan, found)


def scores(time: Ints, values: Doubles, bounds: tuple[int, int], marks: Marks, alt: str) -> str:
    """A series' scores over time, with the threshold, its episodes, labels and the model's spans."""
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(1, 1.9)
        _mark(axes, marks, bounds)
        middle, high = highest(time, values, bounds)
        shown = np.maximum(high, LOWEST)
        lone = ~np.isnan(shown) & np.isnan(np.append(np.nan, shown[:-1])) & np.isnan(np.append(shown[1:], np.nan))
        axes.plot(_dates(middle), shown, color=CALM, linewidth=0.9)
        axes.plot(_dates(middle[lone]), shown[lone], ".", color=CALM, markersize=2)
        axes.axhline(1, color=ALERT, linewidth=1, linestyle="--")
        axes.set_yscale("log")
        axes.set_ylim(LOWEST, max(3.0, float(np.nanmax(high, initial=1)) * 1.5))
        axes.set_ylabel("score")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        return _svg(figure, alt)


def zoom(seen: Zoomed, marks: Marks, alt: str) -> str:
    """Some channels around an episode: what was measured, and what the model expected."""
    time, actual, expected, names = seen
    bounds = int(time[0]), int(time[-1])
    with mpl.rc_context(STYLE):
        figure, rows = _figure(len(names), 1.3 * len(names) + 0.3)
        for at, axes in enumerate(rows):
            _mark(axes, marks, bounds)
            axes.plot(_dates(time), expected[:, at], color=LABEL, linewidth=1.2, linestyle="--")
            axes.plot(_dates(time), actual[:, at], color=CALM, linewidth=0.9)
            axes.set_title(f"channel {at + 1}", fontsize=9, loc="left")
        return _svg(figure, alt, {f"channel {at + 1}": name for at, name in enumerate(names)})


def _figure(rows: int, height: float) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for one in axes:
        one.set_facecolor("none")
        one.spines[["top", "right"]].set_visible(False)
        locator: Any = dates.AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
        one.xaxis.set_major_locator(locator)
        one.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return figure, list(axes)


def _mark(axes: Any, marks: Marks, bounds: tuple[int, int]) -> None:
    axes.set_xlim(*_dates(np.array([bounds[0], max(bounds[1], bounds[0] + 1)])))
    for at, (name, start, end) in enumerate(marks.spans):
        low, high = max(start, bounds[0]), min(end, bounds[1])
        if low < high:
            axes.axvspan(*_dates(np.array([low, high])), color=SPAN, alpha=0.35 if at % 2 else 0.2, linewidth=0)
            axes.annotate(name, (_dates(np.array([low]))[0], 0.99), xycoords=("data", "axes fraction"), va="top")
    for start, end in marks.episodes:
        axes.axvspan(*_dates(np.array([start, end])), color=ALERT, alpha=0.3, linewidth=0.5)
    for start, end in marks.labels:
        axes.axvspan(*_dates(np.array([start, end])), ymax=0.07, color=LABEL, linewidth=0.5)


def _dates(time: Ints) -> Any:
    return time.astype("datetime64[ms]")


def _svg(figure: Figure, alt: str, names: dict[str, str] | None = None) -> str:
    """Inline SVG: no file's head, no metadata, colours of the page, ids of its own; names are the page's text."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\s(xmlns(:\w+)?|width|height|version)="[^"]*"', "", text, count=5).replace("xlink:href", "href")
    for colour, name in COLOURS.items():
        text = text.replace(colour, f"var({name})")
    mark = f"p{zlib.crc32(alt.encode()):x}-"
    text = re.sub(r'\bid="|url\(#|href="#', lambda found: found[0] + mark, text)
    for plain, name in (names or {}).items():
        text = text.replace(f">{plain}<", f">{html.escape(name)}<")
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(alt, quote=True)}"', 1)
