"""The demo's summary: alerts held against the injected faults, beside the alert that plants have without StreamAE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any

from rich.console import Group
from rich.table import Table

from streamae.config import Config
from streamae.detection.alerts import Alert
from streamae.simulation import KINDS, SIZES, Columns, Fault, Plant
from streamae.training import files
from streamae.training.baselines import sigma_alerts, sigma_for_rate, sigmas
from streamae.training.matching import Alerted, Event, Match, match, per_series_week
from streamae.training.series import Stretch, stretches

Counts = dict[str, list[int]]  # label -> [found, of how many]


def alerted(alerts: Sequence[Alert], config: Config) -> list[Alerted]:
    """Each episode once, as it ended or as it still is; it was known when its firing window ended."""
    spec, fire_after = config.windows.spec(), config.episodes.fire_after
    first_news = spec.length_ms // 2 + (fire_after - 1) * spec.stride * spec.cadence_ms
    known = {alert.id: max(alert.peak.time, alert.start + first_news) for alert in alerts if alert.state == "firing"}
    latest = {alert.id: alert for alert in alerts}
    return [Alerted(alert.series, alert.start, alert.end, known[alert.id]) for alert in latest.values()]


def figures(config: Config, plant: Plant, alerts: Sequence[Alert]) -> dict[str, Any]:
    """Recall by kind and size, false alerts per pump and week, delay; and the same of a plain alert at that rate."""
    events = [Event(fault.series, fault.start_ms, fault.end_ms) for fault in plant.faults]
    slack = config.windows.spec().length_ms
    span = int(plant.live.time.max() - plant.live.time.min())
    ours = match(alerted(alerts, config), events, slack)
    rate = per_series_week(len(ours.false), plant.spec.series, span)
    k, plain = _plain(config, plant, events, rate)
    return {
        "pumps": plant.spec.series,
        "weeks": round(span / 604_800_000, 2),
        "streamae": _figures(ours, plant.faults, rate),
        "sigma": {
            "k": round(k, 2),
            **_figures(plain, plant.faults, per_series_week(len(plain.false), plant.spec.series, span)),
        },
        "missed": [f"{f.kind} {f.size} sd on {f.series}" for f, one in _pairs(plant.faults, ours) if one is None],
    }


def _plain(config: Config, plant: Plant, events: list[Event], rate: float) -> tuple[float, Match]:
    """A channel more than k deviations off its own mean; k is chosen, with hindsight, for the same false alerts."""
    window, slack = config.windows.spec(), config.windows.spec().length_ms
    known = sigmas(_stretches(config, plant.history))
    live = _stretches(config, plant.live)
    k = sigma_for_rate(live, known, rate, window, lambda alerts: len(match(alerts, events, slack).false))
    return k, match(sigma_alerts(live, known, k, window), events, slack)


def _stretches(config: Config, columns: Columns) -> list[Stretch]:
    channels = list(config.readings.channels)
    return stretches(files.table(columns.frame(), channels), [0.0] * len(channels), config.windows.spec())


def _figures(found: Match, faults: Sequence[Fault], false_per_week: float) -> dict[str, Any]:
    kinds: Counts = {kind: [0, 0] for kind in KINDS}
    sizes: Counts = {str(size): [0, 0] for size in SIZES}
    delays: dict[str, list[float]] = defaultdict(list)
    for fault, delay in _pairs(faults, found):
        for count in (kinds[fault.kind], sizes[str(fault.size)]):
            count[0] += delay is not None
            count[1] += 1
        if delay is not None:
            delays[fault.kind].append(delay / 60_000)
    every = [delay for own in delays.values() for delay in own]
    return {
        "found": found.found,
        "faults": len(faults),
        "by_kind": kinds,
        "by_size": sizes,
        "false": len(found.false),
        "false_per_pump_week": round(false_per_week, 3),
        "delay_minutes": round(median(every), 1) if every else None,
        "delay_minutes_by_kind": {kind: round(median(own), 1) for kind, own in sorted(delays.items())},
    }


def _pairs(faults: Sequence[Fault], found: Match) -> list[tuple[Fault, int | None]]:
    return [(fault, one.delay) for fault, one in zip(faults, found.events, strict=True)]


def render(facts: dict[str, Any]) -> Group:
    """The figures as tables."""
    ours, plain = facts["streamae"], facts["sigma"]
    table = Table("", "StreamAE", f"plain {facts['sigma']['k']:g}-sigma alert", title="Found", title_justify="left")
    for label, key in [(f"{kind}", "by_kind") for kind in ours["by_kind"]] + [(s, "by_size") for s in ours["by_size"]]:
        name = label if key == "by_kind" else f"size {label} sd"
        table.add_row(name, *(f"{side[key][label][0]} of {side[key][label][1]}" for side in (ours, plain)))
    table.add_section()
    table.add_row("all faults", *(f"{side['found']} of {side['faults']}" for side in (ours, plain)))
    table.add_row("false alerts per pump and week", *(f"{side['false_per_pump_week']:.2f}" for side in (ours, plain)))
    table.add_row("median delay, minutes", *(str(side["delay_minutes"] or "-") for side in (ours, plain)))
    return Group(table, f"missed: {', '.join(facts['missed']) or 'none'}")
