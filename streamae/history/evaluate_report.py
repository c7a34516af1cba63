"""An evaluation for the terminal: the model beside its baselines as a table, and what it missed and said wrongly."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from streamae.history import report
from streamae.history.evaluate import Evaluation, Missed
from streamae.history.figures import Facts
from streamae.history.outcomes import judged
from streamae.history.report import duration, number
from streamae.subscriber import line, moment

MOST = 20  # missed events and false episodes that are shown; JSON has all


def show(found: Evaluation, console: Console) -> None:
    """Print an evaluation."""
    for text in head(found):
        console.print(text, highlight=False, soft_wrap=True)
    title, *rows = table(found)
    drawn = Table(*title, title="Held against labels", title_justify="left")
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn)
    for text in explained(found):
        console.print(text, highlight=False, soft_wrap=True)
    console.print(f"\n{_some(len(found.missed))} missed events:", highlight=False)
    for one in found.missed[:MOST]:
        console.print(missed(one), highlight=False, soft_wrap=True, markup=False)
    console.print(f"\n{_some(len(found.false))} false episodes:", highlight=False)
    for episode in found.false[:MOST]:
        console.print(line(episode.alert), highlight=False, soft_wrap=True)


def head(found: Evaluation) -> Iterator[str]:
    """What was looked at, what the model has learnt from, and what counts."""
    yield from report.head(about := found.facts())
    counted = about["counted"]
    events = f"{counted['events']} of {counted['events'] + counted['events_in_sample']} labelled events"
    yield f"Out of sample, which alone counts: {events}, {counted['series_weeks']:.3g} series-weeks."


def table(found: Evaluation) -> list[list[str]]:
    """A column a contender, a row a figure, as text; the head first."""
    columns = [cells(one) for one in found.figures]
    model, *baselines = [one["name"] for one in found.figures]
    names = [f"{model} ({found.manifest.autoencoder})", *baselines]
    return [["", *names], *([name, *(column[name] for column in columns)] for name in columns[0])]


def cells(one: Facts) -> dict[str, str]:
    """A contender's figures for people."""
    older = f", {one['found_by_older']} by an older alert" if one["found_by_older"] else ""
    return {
        "true alerts": f"{one['true']} of {one['alerts']}",
        "precision": number(one["precision"]),
        "events found": f"{one['found']} of {one['events']}{older}",
        "recall": number(one["recall"]),
        "F1": number(one["f1"]),
        "median delay": duration(one["median_delay_s"]),
        "p90 delay": duration(one["p90_delay_s"]),
        "false episodes": f"{one['false']} ({number(one['false_per_series_week'])})",
        "unlabelled time in alert": "-" if one["share_in_alert"] is None else f"{one['share_in_alert']:.2%}",
        "VUS-PR, score": number(one["vus_pr"]),
        "VUS-PR, settled": number(one["vus_pr_settled"]),
    }


def explained(found: Evaluation) -> Iterator[str]:
    """How to read the table."""
    yield "In brackets: a series and week. Alerts and events are whole ones; nothing is adjusted by single points."
    yield "An event whose alert was out before it began has no delay."
    series = len(judged(found.truth))
    yield f"VUS-PR: the mean over {series} series with a reading in a labelled event; 1 is best."


def missed(one: Missed) -> str:
    """A missed event for people."""
    says = f"{one.event.series} {moment(one.event.start)} to {moment(one.event.end)}: "
    if one.peak is None:
        return says + "too little was observed in it to score"
    blamed = ", ".join(f"{channel.name} {channel.share:.0%}" for channel in one.channels[:3])
    return says + f"highest score {one.peak:.3g}, {blamed}"


def _some(count: int) -> str:
    return str(count) if count <= MOST else f"The first {MOST} of {count}"
