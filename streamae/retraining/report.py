"""Report: runs and comparisons as tables for the terminal, and as rows for programs."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.table import Table

from streamae.retraining.promotion import Evidence, Showing
from streamae.retraining.runs import Record, iso
from streamae.subscriber import moment


def comparison(evidence: Evidence) -> Table:
    """Champion and challenger side by side."""
    champion, challenger = evidence.champion, evidence.challenger
    title = (
        f"Judged on {moment(evidence.span.start)} to {moment(evidence.span.end)}: "
        f"{evidence.series} series, {evidence.weeks:.3g} weeks"
    )
    table = Table("", f"champion {champion.version}", f"challenger {challenger.version}", "of", title=title)
    for name, of in _measures(evidence).items():
        table.add_row(name, *(_figure(one, name) for one in (champion, challenger)), of)
    table.add_row("found by this one alone", str(evidence.lost), str(evidence.gained), "")
    for note in evidence.notes:
        table.add_row("note", note)
    return table


def rows(record: Record) -> list[dict[str, Any]]:
    """A row a scheduled time, oldest first, for people."""
    return [
        {
            "scheduled": f"{iso(run.scheduled_ms)[:19]}Z",
            "outcome": run.outcome,
            "version": run.version or "",
            "started": "" if run.started_ms is None else f"+{(run.started_ms - run.scheduled_ms) / 1000:.1f} s",
            "took": f"{(run.ended_ms - run.started_ms) / 1000:.1f} s" if run.ended_ms and run.started_ms else "",
            "why": run.why + (f" ({run.earlier} earlier ones were missed)" if run.earlier else ""),
        }
        for run in record.runs
    ]


def facts(record: Record) -> dict[str, Any]:
    """Everything that is recorded, for programs."""
    found: dict[str, Any] = msgspec.to_builtins(record)
    return found


def _measures(evidence: Evidence) -> dict[str, str]:
    kinds = {f"injected: {kind}": str(count) for kind, count in evidence.injected.items()}
    budget = f"{evidence.budget:.3g} allowed by the alert budget"
    return {
        "alerts": "",
        "false alerts": budget,
        "false per series and week": "",
        "earlier alerts again": str(evidence.earlier),
        **kinds,
        "injected, all": str(sum(evidence.injected.values())),
    }


def _figure(showing: Showing, name: str) -> str:
    if name.startswith("injected: "):
        return str(showing.found.get(name.removeprefix("injected: "), 0))
    figures = {
        "alerts": f"{showing.alerts}",
        "false alerts": f"{showing.false}",
        "false per series and week": f"{showing.false_per_week:.3g}",
        "earlier alerts again": f"{showing.again}",
        "injected, all": f"{sum(showing.found.values())}",
    }
    return figures[name]
