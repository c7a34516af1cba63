"""The faults of the simulated plant: how pumps fail, written down before any detector ran.

Which pump has which fault, when, and how large, follows from the seed alone. `size` counts standard deviations of
that pump's channel over its fault-free history, load changes included:

    wear        6-10 h  a bearing: vibration rises to `size` in 60 % of the time; temperature follows, to half of it
    cavitation  2-5 h   vibration in bursts of up to `size`; pressure drops by half of it and flutters, so does current
    leak        3-8 h   pressure sinks by `size` (time constant 45 min); current rises by 0.4 of it
    drift       6-10 h  one channel moves away in a straight line, up or down, and reaches `size` at the end
    stuck       1.5-9 h one channel repeats one value; that has no height, so `size` is its duration: 1.5 h each

A repair ends a fault at once. Letters: C channels, n ticks of one fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from streamae.simulation.pumps import (
    CHANNELS,
    CURRENT,
    HOUR_MS,
    PRESSURE,
    TEMPERATURE,
    VIBRATION,
    Floats,
    SimulationSpec,
)

SIZES = (1, 2, 3, 4, 6)
A_WEEK = 1.5  # faults of a series
SLOT_H = 20.0  # the shortest slot that has a fault of its own
QUIET_H = 3.0  # free of faults at both ends of a slot


@dataclass(frozen=True)
class Fault:
    """What was wrong with a series in [start_ms, end_ms), and the channels that show it, most first."""

    series: str
    kind: str
    size: int
    start_ms: int
    end_ms: int
    channels: tuple[str, ...]


class Course(NamedTuple):
    """How a fault goes on."""

    hours: Floats  # [n] since its start
    progress: Floats  # [n] from 0 to 1
    reach: Floats  # [C] its size in the channels' units
    channel: int  # the one that shows it most
    rng: Generator


class Kind(NamedTuple):
    """One way to fail: hours from and to, the channels that show it (none: any one), what it does to values."""

    hours: tuple[float, float]
    channels: tuple[int, ...]
    spoil: Callable[[Floats, Course], None]
    lasts_by_size: bool = False


def _wear(values: Floats, course: Course) -> None:
    values[:, VIBRATION] += course.reach[VIBRATION] * np.minimum(course.progress / 0.6, 1)
    values[:, TEMPERATURE] += 0.5 * course.reach[TEMPERATURE] * np.clip((course.progress - 0.2) / 0.6, 0, 1)


def _cavitation(values: Floats, course: Course) -> None:
    bursts = (course.rng.random(len(values)) < 0.5) * course.rng.uniform(0.5, 1, len(values))
    flutter = course.rng.standard_normal(len(values))
    values[:, VIBRATION] += course.reach[VIBRATION] * bursts
    values[:, PRESSURE] += course.reach[PRESSURE] * (0.2 * flutter - 0.5)
    values[:, CURRENT] += course.reach[CURRENT] * 0.1 * flutter


def _leak(values: Floats, course: Course) -> None:
    sinking = 1 - np.exp(-course.hours / 0.75)
    values[:, PRESSURE] -= course.reach[PRESSURE] * sinking
    values[:, CURRENT] += 0.4 * course.reach[CURRENT] * sinking


def _stuck(values: Floats, course: Course) -> None:
    values[:, course.channel] = values[0, course.channel]


def _drift(values: Floats, course: Course) -> None:
    values[:, course.channel] += course.rng.choice((-1, 1)) * course.reach[course.channel] * course.progress


KINDS = {
    "wear": Kind((6, 10), (VIBRATION, TEMPERATURE), _wear),
    "cavitation": Kind((2, 5), (VIBRATION, PRESSURE, CURRENT), _cavitation),
    "leak": Kind((3, 8), (PRESSURE, CURRENT), _leak),
    "stuck": Kind((1.5, 1.5), (), _stuck, lasts_by_size=True),
    "drift": Kind((6, 10), (), _drift),
}


def plan(spec: SimulationSpec, names: tuple[str, ...], rng: Generator) -> tuple[Fault, ...]:
    """The faults of a live part, by start: as many of each kind and size, spread over series and time."""
    live_h = spec.live_days * 24
    each = max(1, min(max(3, round(A_WEEK * spec.live_days / 7)), int(live_h // SLOT_H)))
    cards = islice(_deck(rng), each * spec.series)
    slots = [(name, slot * live_h / each, live_h / each) for slot in range(each) for name in rng.permutation(names)]
    faults = [_fault(spec, slot, card, rng) for slot, card in zip(slots, cards, strict=True)]
    return tuple(sorted(faults, key=lambda fault: fault.start_ms))


def spoil(values: Floats, fault: Fault, spread: Floats, rng: Generator) -> None:
    """Do to `values` [n, C] what the fault does; `spread` [C] is one standard deviation of each channel."""
    lasts = (fault.end_ms - fault.start_ms) / HOUR_MS
    progress = np.arange(1, len(values) + 1) / len(values)
    main = CHANNELS.index(fault.channels[0])
    KINDS[fault.kind].spoil(values, Course(progress * lasts, progress, fault.size * spread, main, rng))


def _deck(rng: Generator) -> Iterator[tuple[str, int]]:
    """Kinds and sizes as a Latin square: 5 cards hold every kind and every size once, 25 every pair."""
    kinds, sizes = rng.permutation(list(KINDS)).tolist(), rng.permutation(SIZES).tolist()
    while True:
        for turn in range(len(sizes)):
            for card in rng.permutation(len(kinds)).tolist():
                yield kinds[card], sizes[(card + turn) % len(sizes)]


def _fault(spec: SimulationSpec, slot: tuple[str, float, float], card: tuple[str, int], rng: Generator) -> Fault:
    """The fault of one slot (series, hour of the live part, hours), somewhere between the slot's quiet ends."""
    series, slot_from, slot_h = slot
    name, size = card
    kind = KINDS[name]
    quiet = min(QUIET_H, slot_h / 4)
    hours = min(rng.uniform(*kind.hours) * (size if kind.lasts_by_size else 1), slot_h - 2 * quiet)
    start = slot_from + rng.uniform(quiet, slot_h - quiet - hours)
    start_ms, end_ms = (spec.live_from_ms + spec.ticks(at) * spec.cadence_ms for at in (start, start + hours))
    shown = kind.channels or (int(rng.integers(len(CHANNELS))),)
    return Fault(str(series), name, size, start_ms, end_ms, tuple(CHANNELS[channel] for channel in shown))
