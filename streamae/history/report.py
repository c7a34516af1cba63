"""A backtest for the terminal: its candidates as a table, the episodes of one of them as lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from streamae.history.backtest import Backtest
from streamae.history.figures import Facts
from streamae.subscriber import line, moment

MOST = 40  # episodes that are shown; JSON has all
HOUR_S = 3600


def show(found: Backtest, console: Console) -> None:
    """Print a backtest."""
    facts = found.facts()
    for text in head(facts):
        console.print(text, highlight=False, soft_wrap=True)
    console.print(table(found))
    console.print("In brackets: a series and week.", highlight=False)
    count = len(found.told)
    console.print(f"\n{count} alerts {found.shown.name}:", highlight=False)
    for one in found.told[:MOST]:
        console.print(line(one.alert), soft_wrap=True, highlight=False)
    if count > MOST:
        console.print(f"... and {count - MOST} more: see --json or --html", highlight=False)


def head(facts: Facts) -> Iterator[str]:
    """What was looked at, and what the model has learnt from."""
    yield (
        f"{facts['model']} {facts['version'] or 'unregistered'} on {facts['readings']:,} readings of "
        f"{facts['series']} series, {moment(facts['start'])} to {moment(facts['end'])}: {facts['windows']:,} windows, "
        f"{facts['series_weeks']:.3g} series-weeks"
    )

    def start(one: tuple[str, Facts]) -> int:
        return int(one[1]["start"])

    spans = [
        f"{name} {moment(span['start'])} to {moment(span['end'])}"
        for name, span in sorted(facts["spans"].items(), key=start)
    ]
    yield f"Trained on {'; '.join(spans)}. In-sample: {', '.join(facts['in_sample'])}."
    for note in facts["notes"]:
        yield f"Note: {note}."


def table(found: Backtest) -> Table:
    """A column a candidate."""
    head, *lines = rows(found)
    drawn = Table(*head, title="Thresholds", title_justify="left")
    for one in lines:
        drawn.add_row(*one)
    return drawn


def rows(found: Backtest) -> list[list[str]]:
    """The candidates as a table, a row a figure: the head, then name and value under each candidate."""
    columns = [cells(one) for one in found.figures]
    names = [one["name"] for one in found.figures]
    return [["", *names], *([name, *(column[name] for column in columns)] for name in columns[0])]


def cells(one: Facts) -> dict[str, str]:
    """A candidate's figures for people."""
    found = {"threshold": f"{one['threshold']:.3g}", "alerts": str(one["alerts"])}
    found["a series and week"] = number(one["per_series_week"])
    for name, part in (("in-sample", one["in_sample"]), ("out of sample", one["out_of_sample"])):
        found[name] = f"{part['alerts']} ({number(part['per_series_week'])})"
    found["time in alert"] = f"{one['share_in_alert']:.2%}"
    found["longest"] = duration(one["longest_s"] if one["alerts"] else None)
    if "labels" in one:
        labels = one["labels"]
        found["events found"] = f"{labels['found']} of {labels['events']}"
        found["false alerts"] = f"{labels['false']} ({number(labels['false_per_series_week'])})"
        found["median delay"] = duration(labels["median_delay_s"])
    found["most alerts"] = "\n".join(f"{name} {count}" for name, count in one["worst_series"][:3]) or "-"
    return found


def number(rate: float | None) -> str:
    """A rate for people."""
    return "-" if rate is None else f"{rate:.3g}"


def duration(seconds: float | None) -> str:
    """A duration for people."""
    if seconds is None:
        return "-"
    if seconds < 2 * 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 2 * HOUR_S else f"{seconds / HOUR_S:.3g} h"
