"""A run's figures for people."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from streamae.bench.figures import Spread
from streamae.bench.run import Result


def render(result: Result) -> Group:
    """A table a run: medians, with the range over the rounds."""
    table = Table("CPU us per reading", *(" ".join(("stride", str(one.stride), *one.uses)) for one in result.strides))
    used = [one.uses for one in result.strides]
    rows = {
        "streamae serve": [one.serve_us for one in result.strides],
        "ONNX Runtime alone": [one.ort_us for one in result.strides],
        "librdkafka alone": [one.consume_us for one in result.strides],
        "serve / (both alone)": [one.ratio for one in result.strides],
        **({"serve / serve without uses": [one.beside_none for one in result.strides]} if any(used) else {}),
        "readings/s": [one.readings_per_s for one in result.strides],
        "windows/s": [one.windows_per_s for one in result.strides],
    }
    for name, spreads in rows.items():
        if name.startswith(("serve /", "readings")):
            table.add_section()
        table.add_row(name, *map(_spread, spreads))
    table.add_section()
    table.add_row("windows, none missing", *(f"{one.windows:,}" for one in result.strides))
    table.add_row("alerts", *(f"{one.alerts:,}" for one in result.strides))
    facts = [
        ", ".join(f"{name} {value}" for name, value in part.items())
        for part in (result.load, result.model, result.machine, result.versions)
    ]
    return Group(
        table, f"rounds: {result.rounds}, medians \\[and ranges] in {result.seconds:g} s. {result.note}", *facts
    )


def _spread(spread: Spread) -> str:
    median, low, high = map(_figure, (spread.median, spread.low, spread.high))
    return f"{median} [{low} - {high}]"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
