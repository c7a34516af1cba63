"""Figures: what a replay found, held against the labels. No target: they are what they are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from streamae.training.matching import Alerted, Event, Match, match, per_series_week
from tests.real.recordings import DataSet, Recording
from tests.real.replay import Outcome

Facts = dict[str, Any]


def figures(kind: DataSet, recordings: Sequence[Recording], outcome: Outcome) -> Facts:
    """All series together, and each. Rates are of normal readings: those that are not labelled."""
    each = {one.name: _series(kind, one, outcome) for one in recordings}
    events = [event for one in recordings for event in one.events(kind.cadence_ms)]
    found = match(outcome.alerts, events, kind.length * kind.cadence_ms)
    normal = sum(facts["normal"] for facts in each.values())
    live = sum(one.live for one in recordings)
    seconds = outcome.seconds
    return {
        "series": len(recordings),
        "readings": live,
        **_counts(found, outcome.alerts),
        "false_per_10k": round(len(found.false) * 10_000 / normal, 2),
        "false_per_series_week": round(per_series_week(len(found.false), 1, normal * kind.cadence_ms), 2),
        "normal_in_alert": round(
            sum(facts["normal_in_alert"] * facts["normal"] for facts in each.values()) / normal, 4
        ),
        "seconds": {name: round(took, 1) for name, took in seconds.items()},
        "readings_per_s": round(live / seconds["serve"]) if seconds.get("serve", 0) > 1 else None,
        "failed": outcome.failed,
        "by_series": each,
    }


def _series(kind: DataSet, one: Recording, outcome: Outcome) -> Facts:
    alerts = [alert for alert in outcome.alerts if alert.series == one.name]
    found = match(alerts, one.events(kind.cadence_ms), kind.length * kind.cadence_ms)
    normal = ~one.label[one.prefix :]
    covered = _covered(one.time[one.prefix :], alerts)
    return {
        **_counts(found, alerts),
        "normal": int(normal.sum()),
        "normal_in_alert": round(float((covered & normal).sum() / max(normal.sum(), 1)), 4),
        "threshold": float(f"{outcome.thresholds[one.name]:.3g}") if one.name in outcome.thresholds else None,
    }


def _counts(found: Match, alerts: Sequence[Alerted]) -> Facts:
    """`found_by_older`: by an alert that was out before the event began, which may be luck; it has no delay."""
    delays = [one.delay / 1000 for one in found.events if one.delay is not None and not _older(one.alert, one.event)]
    return {
        "events": len(found.events),
        "found": found.found,
        "found_by_older": sum(_older(one.alert, one.event) for one in found.events),
        "alerts": len(alerts),
        "false": len(found.false),
        "median_delay_s": round(median(delays), 1) if delays else None,
    }


def _older(alert: Alerted | None, event: Event) -> bool:
    return alert is not None and alert.known < event.start


def _covered(time: NDArray[np.int64], alerts: Sequence[Alerted]) -> NDArray[np.bool_]:
    """Which readings lie in an alert."""
    covered = np.zeros(len(time), np.bool_)
    for alert in alerts:
        covered |= (time >= alert.start) & (time < (np.inf if alert.end is None else alert.end))
    return covered


def table(rows: Sequence[Facts]) -> Table:
    """A row a run."""
    found = Table(
        *(
            "set",
            "models",
            "autoencoder",
            "found",
            "by older\nalert",
            "false",
            "false\n/10k",
            "false /series\nand week",
        ),
        *("normal\nin alert", "delay s\n(median)", "train s", "start s", "serve s", "readings/s"),
        title="Alerts held against labels",
        title_justify="left",
    )
    for row in rows:
        if len(row["failed"]) == row["series"]:
            found.add_row(row["set"], row["mode"], row["autoencoder"], "failed")
            continue
        seconds = row["seconds"]
        failed = f", {len(row['failed'])} failed" if row["failed"] else ""
        found.add_row(
            *(row["set"], row["mode"], row["autoencoder"], f"{row['found']} of {row['events']}{failed}"),
            *(str(row["found_by_older"]), str(row["false"]), str(row["false_per_10k"])),
            *(str(row["false_per_series_week"]), f"{row['normal_in_alert']:.1%}", str(row["median_delay_s"] or "-")),
            *(f"{seconds.get(name, 0):g}" for name in ("train", "start", "serve")),
            f"{row['readings_per_s']:,}" if row["readings_per_s"] else "-",
        )
    return found
