"""Hypothesis strategies: window specs, lateness, policies, and logs of one partition as bad as they come.

A log has several series that take turns, and disorder, gaps, duplicates, late readings, silence, series that
begin late or come back, and clocks that leap days ahead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from streamae.detection.episodes import EpisodePolicy
from streamae.detection.grid import Lateness
from streamae.detection.manifest import WindowSpec
from streamae.detection.readings import Readings
from tests.naive import Reading

CHANNELS = 2
DAY_MS = 86_400_000
SERIES = ("pump-1", "pump-2", "valve", "Motor 7")  # their windows start at different ticks
CADENCES = (1, 10, 1000)


@st.composite
def specs(draw: st.DrawFn, longest: int = 6) -> WindowSpec:
    """Short windows of any stride."""
    length = draw(st.integers(2, longest))
    return WindowSpec(length=length, stride=draw(st.integers(1, length)), cadence_ms=draw(st.sampled_from(CADENCES)))


@st.composite
def latenesses(draw: st.DrawFn, cadence_ms: int) -> Lateness:
    """From none at all to more ticks than a window has, on the grid and beside it."""
    lateness, lag = draw(st.integers(0, 5)), draw(st.sampled_from([0, 3, 8, 20, 50]))
    beside = draw(st.sampled_from([0, 1, cadence_ms // 2]))
    return Lateness(lateness_ms=lateness * cadence_ms + beside, max_lag_ms=lag * cadence_ms + beside)


@st.composite
def policies(draw: st.DrawFn, cadence_ms: int) -> EpisodePolicy:
    """Policies that fire and resolve within few windows."""
    return EpisodePolicy(
        fire_after=draw(st.integers(1, 3)),
        resolve_after=draw(st.integers(1, 3)),
        min_observed=draw(st.sampled_from([0.0, 0.25, 0.5, 0.9])),
        expire_after_ms=draw(st.integers(1, 30)) * cadence_ms,
        keep_budget=draw(st.booleans()),
    )


NAN = math.nan
CALM = [(0.0, 0.0), (0.5, -1.0), (1.0, 0.5)]
LOUD = [(3.0, 3.0), (-5.0, 0.0), (100.0, 2.5)]
PATCHY = [(NAN, 0.0), (9.0, NAN), (NAN, NAN)]
MOODS = [CALM, CALM, LOUD, CALM + LOUD, CALM + LOUD + PATCHY]  # a log has three of them in turn
STEPS = [1, 1, 1, 1, 1, 1, 0, 2, 3, -1, -2, -6, 12]  # ticks: mostly in order, some twice, disorder, gaps
LEAPS = [0, 0, 0, 3 * DAY_MS]  # of at most one reading in a log


@st.composite
def logs(draw: st.DrawFn, cadence_ms: int, most: int = 60) -> list[Reading]:
    """Readings of one partition in offset order; offsets have holes, as compaction and transactions leave them."""
    start = draw(st.sampled_from([0, 1, 12_345, 1_700_000_000_000]))
    length, leap, leaps = draw(st.integers(0, most)), draw(st.sampled_from(LEAPS)), draw(st.integers(0, most - 1))
    names = st.sampled_from(SERIES[: draw(st.integers(1, len(SERIES)))])
    moods = draw(st.lists(st.sampled_from(MOODS), min_size=3, max_size=3))
    moves = st.tuples(names, st.sampled_from(STEPS), st.sampled_from([0, 0, 1]), st.sampled_from([1, 1, 1, 2]))
    clocks = dict.fromkeys(SERIES, start)
    readings: list[Reading] = []
    offset = 0
    for at in range(length):
        series, ticks, beside, hole = draw(moves)
        value = draw(st.sampled_from(moods[3 * at // length]))
        clocks[series] = max(0, clocks[series] + ticks * cadence_ms + beside)
        readings.append(Reading(series, clocks[series] + (leap if at == leaps else 0), value, offset))
        offset += hole
    return readings


@st.composite
def steady_logs(draw: st.DrawFn, cadence_ms: int, most: int = 60) -> list[Reading]:
    """One or two series that tick on, with at most one leap of another: rings are filled to the brim."""
    count, leap = draw(st.integers(1, most)), draw(st.integers(0, most))
    names = SERIES[: draw(st.integers(1, 2))]
    ticks = [Reading(name, tick * cadence_ms, (float(tick), 1.0), 0) for tick in range(count) for name in names]
    ticks.insert(leap, Reading("leaper", draw(st.sampled_from([count, 3 * count, 10**6])) * cadence_ms, (0.0, 0.0), 0))
    return [replace(reading, offset=offset) for offset, reading in enumerate(ticks)]


@st.composite
def cuts(draw: st.DrawFn, length: int) -> list[slice]:
    """A log cut into polls: all in one, one each, or anything between."""
    places = draw(st.one_of(st.just([]), st.just(list(range(length))), st.lists(st.integers(0, length), max_size=6)))
    bounds = sorted({0, length, *places})
    return [slice(low, high) for low, high in itertools.pairwise(bounds)]


def columns(readings: Sequence[Reading], channels: int = CHANNELS) -> Readings:
    """Readings as the columns that detection takes."""
    names = tuple(dict.fromkeys(reading.series for reading in readings))
    return Readings(
        names,
        np.array([names.index(reading.series) for reading in readings], np.int32),
        np.array([reading.time for reading in readings], np.int64),
        np.array([reading.values for reading in readings], np.float32).reshape(-1, channels),
        np.array([reading.offset for reading in readings], np.int64),
    )


def polls(log: Sequence[Reading], cut: Sequence[slice], channels: int = CHANNELS) -> Iterator[Readings]:
    """The log as it is polled."""
    for rows in cut:
        yield columns(log[rows], channels)
