"""Outcomes: what a contender comes to, event by event, in what counts. Nothing is adjusted by single points.

An alert counts where it starts outside of what the model has learnt from, unless all that it touches is events that do
not count. N rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamae.history.contenders import Contender
from streamae.history.figures import Facts, rate
from streamae.history.truth import Truth
from streamae.history.vus import period, volume
from streamae.training.matching import Alerted, Found, match

Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]


class Outcome(NamedTuple):
    """A contender's alerts held against the events that count."""

    found: tuple[Found, ...]  # in the order of the events that count
    true: list[Alerted]
    false: list[Alerted]

    @classmethod
    def of(cls, truth: Truth, one: Contender, slack_ms: int) -> Outcome:
        """Matched as `training/matching.py` has it."""
        alerts = [alert for alert in one.alerts if truth.counts(alert.start)]
        found = match(one.alerts, truth.counting, slack_ms).events
        missing = set(match(alerts, truth.counting, slack_ms).false)
        return cls(
            found,
            [alert for alert in alerts if alert not in missing],
            list(match(alerts, truth.events, slack_ms).false),
        )


def outcome(truth: Truth, one: Contender, held: Outcome, weeks: float) -> Facts:
    """The figures of a contender, of so many series-weeks that count."""
    told, events = len(held.true) + len(held.false), len(held.found)
    hits = [found for found in held.found if found.alert is not None]
    older = [found for found in hits if found.alert is not None and found.alert.known < found.event.start]
    precision, recall = (len(held.true) / told if told else None), len(hits) / events
    delays = [found.delay / 1000 for found in hits if found.delay is not None and found not in older]
    return {
        "name": one.name,
        "alerts": told,
        "true": len(held.true),
        "precision": precision,
        "events": events,
        "found": len(hits),
        "found_by_older": len(older),
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision and recall else 0.0,
        "median_delay_s": float(np.median(delays)) if delays else None,
        "p90_delay_s": float(np.percentile(delays, 90)) if delays else None,
        "false": len(held.false),
        "false_per_series_week": rate(len(held.false), weeks),
        "share_in_alert": _share_in_alert(truth, one),
        "vus_pr": vus_pr(truth, one.score),
        "vus_pr_settled": None if one.settled is None else vus_pr(truth, one.settled),
    }


def vus_pr(truth: Truth, score: Doubles) -> float | None:
    """VUS-PR of a score [N], in what counts: the mean over the series with an event; None where there is none."""
    found = []
    rows, values = truth.rows, truth.rows.table.values
    for at in judged(truth):
        own = rows.of_series(at)
        unseen = truth.unseen[own]
        order = rows.order[own][unseen]
        found.append(volume(truth.labelled[own][unseen], score[order], period(values[order, 0])))
    return float(np.mean(found)) if found else None


def judged(truth: Truth) -> list[int]:
    """The series that have a row in an event that counts: VUS-PR is of them."""
    rows = truth.rows.within(truth.counting)
    return [at for at in range(len(truth.rows.table.names)) if rows[truth.rows.of_series(at)].any()]


def _share_in_alert(truth: Truth, one: Contender) -> float | None:
    """The share of the ticks that count and are not labelled in which an alert was on."""
    forever = int(truth.rows.time.max()) + 1
    times = [(alert.series, alert.start, forever if alert.end is None else alert.end) for alert in one.alerts]
    normal = int(truth.normal.sum())
    return float((truth.rows.within(times) & truth.normal).sum() / normal) if normal else None
