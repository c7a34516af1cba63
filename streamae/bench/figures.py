"""The arithmetic of the bench: rounds -> medians and ranges. Only ratios are compared, and only within a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from streamae.detection.uses import Use


class Spread(msgspec.Struct, frozen=True):
    """A figure over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median and range, to four digits."""
        return cls(*(float(f"{value:.4g}") for value in (median(values), min(values), max(values))))


class Parts(msgspec.Struct, frozen=True):
    """What nobody can do without, measured alone; CPU us."""

    window_us: float  # ONNX Runtime, per window
    consume_us: float  # librdkafka, per record


class Served(msgspec.Struct, frozen=True):
    """One service over the whole topic. Costs and rates are of the steady part, windows and alerts of everything."""

    readings: int  # of the steady part
    cpu_us: float  # per reading
    wall_s: float
    windows: int
    alerts: int


class Round(msgspec.Struct, frozen=True):
    """One service, and the parts alone right before and after it."""

    served: Served
    parts: tuple[Parts, Parts]


class Case(NamedTuple):
    """One way to serve: with windows every so many ticks, and with what is published beside alerts."""

    stride: int
    uses: tuple[Use, ...] = ()

    @property
    def label(self) -> str:
        """As tables and topics name it."""
        return "-".join(map(str, (self.stride, *self.uses)))


class StrideFigures(msgspec.Struct, frozen=True):
    """What came out for one case; `_us` is CPU us per reading unless it says otherwise."""

    stride: int
    uses: tuple[Use, ...]
    windows: int
    windows_per_reading: float
    alerts: int
    serve_us: Spread
    ort_us: Spread
    ort_us_per_window: Spread
    consume_us: Spread
    ratio: Spread  # serve / (ort + consume), each round with its own
    readings_per_s: Spread
    windows_per_s: Spread
    beside_none: Spread  # serve / serve of the same stride and round without uses


def summed_up(case: Case, found: Mapping[Case, Sequence[Round]], readings: int) -> StrideFigures:
    """The figures of one case, over rounds of so many readings each."""
    rounds, plain = found[case], found[Case(case.stride)]
    per_reading = rounds[0].served.windows / readings
    window_us = [(one.parts[0].window_us + one.parts[1].window_us) / 2 for one in rounds]
    consume_us = [(one.parts[0].consume_us + one.parts[1].consume_us) / 2 for one in rounds]
    ort_us = [cost * per_reading for cost in window_us]
    serve_us = [one.served.cpu_us for one in rounds]
    rates = [one.served.readings / one.served.wall_s for one in rounds]
    return StrideFigures(
        stride=case.stride,
        uses=case.uses,
        windows=rounds[0].served.windows,
        windows_per_reading=round(per_reading, 4),
        alerts=rounds[0].served.alerts,
        serve_us=Spread.of(serve_us),
        ort_us=Spread.of(ort_us),
        ort_us_per_window=Spread.of(window_us),
        consume_us=Spread.of(consume_us),
        ratio=Spread.of([ratio(*costs) for costs in zip(serve_us, ort_us, consume_us, strict=True)]),
        readings_per_s=Spread.of(rates),
        windows_per_s=Spread.of([rate * per_reading for rate in rates]),
        beside_none=Spread.of([cost / one.served.cpu_us for cost, one in zip(serve_us, plain, strict=True)]),
    )


def ratio(serve_us: float, ort_us: float, consume_us: float) -> float:
    """Serving over the sum of the parts: 1 would be a service that does nothing but these two.

    >>> ratio(30.0, 8.0, 2.0)
    3.0
    """
    return serve_us / (ort_us + consume_us)
