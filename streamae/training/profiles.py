"""Profiles: what is normal for each channel of each series, so that one artifact serves series that differ.

Centre and scale come from the fit span by floored scaling: a channel that hardly moves must not have every tremor
blown up, and one that is constant gets a scale at which a real change is large. The error unit is what a large
normal error is. N ticks, S series, C channels, M windows, A aspects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from streamae.detection.artifact import Profiles
from streamae.detection.manifest import Channel
from streamae.training.graph import Graph
from streamae.training.series import Pool, Stretch, evenly

FLOOR = 0.1  # of the range: the smallest scale; of the mean unit: the smallest error unit
SMALLEST_UNIT = 1e-4  # squared scales: an error of a hundredth of a scale is no anomaly, however exact the model is
UNIT_SCALED = 1.5  # data within +- this is taken to be scaled to about [-1, 1] already, or to be a switch
SHORTEST = 4  # windows, end to end, that a series has to have for a profile of its own
ENOUGH = 20_000  # windows in all that error units are taken from
FEWEST, MOST = 100, 2_000  # of one series
SLICE = 256  # windows at a time

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Of each channel over some ticks: NaN where it was silent throughout. All [C]."""

    mean: Doubles
    deviation: Doubles
    low: Doubles
    high: Doubles


@dataclass(frozen=True)
class Growth:
    """Factors by which error units grow, [A, C] each."""

    causal: Doubles
    settled: Doubles


def profiles(parts: Sequence[Stretch], length: int, channels: Sequence[Channel], ranges: dict[str, float]) -> Profiles:
    """Profiles of the series in the fit span, all error units 1. A short or new series has the fleet's, row 0."""
    grids: dict[str, list[NDArray[np.float32]]] = {}
    for part in parts:
        grids.setdefault(part.series, []).append(part.grid)
    known = sorted(name for name, own in grids.items() if sum(map(len, own)) >= SHORTEST * length)
    fleet = _moments([part.grid for part in parts])
    moments = [_moments(grids[name]) for name in known]
    reference = _reference(channels, ranges, fleet, moments)
    table = np.stack([_row(one, fleet, reference) for one in [fleet, *moments]])
    return Profiles(tuple(known), table.astype(np.float32))


def _moments(grids: Sequence[NDArray[np.float32]]) -> Moments:
    columns = np.concatenate(grids).astype(np.float64)  # [N, C]
    silent = np.isnan(columns).all(axis=0)
    columns = np.where(silent, 0.0, columns)
    found = np.nanmean(columns, 0), np.nanstd(columns, 0), np.nanmin(columns, 0), np.nanmax(columns, 0)
    return Moments(*(np.where(silent, np.nan, one) for one in found))


def _reference(
    channels: Sequence[Channel], ranges: dict[str, float], fleet: Moments, moments: Sequence[Moments]
) -> Doubles:
    """The range [C] below a tenth of which a channel's scale does not fall.

    The engineering range where it is given; 1 for data that is scaled already, and for switches; else none, but for
    a channel that is constant in the series at hand (`_row` asks this with its own range 0): the typical range of its
    sisters, or its level.
    """
    origin = np.array([channel.origin for channel in channels])
    furthest = np.fmax(abs(fleet.low + origin), abs(fleet.high + origin))
    spreads = np.array([one.high - one.low for one in moments]).reshape(-1, len(origin))
    moving = np.where(spreads > 0, spreads, np.nan)
    sisters = [float(np.median(one[~np.isnan(one)])) if (one > 0).any() else np.nan for one in moving.T]
    typical = np.where(np.isnan(sisters), furthest, sisters)
    reference = np.where(furthest <= UNIT_SCALED, 1.0, -typical)  # negative: holds for constant channels only
    given = np.array([ranges.get(channel.name, np.nan) for channel in channels])
    return np.where(np.isnan(given), np.nan_to_num(reference, nan=-1.0), given)


def _row(one: Moments, fleet: Moments, reference: Doubles) -> Doubles:
    """A profile [3, C]; channels that were silent have the fleet's."""
    centre = np.nan_to_num(np.where(np.isnan(one.mean), fleet.mean, one.mean))
    spread = np.nan_to_num(np.where(np.isnan(one.mean), fleet.high - fleet.low, one.high - one.low))
    deviation = np.nan_to_num(np.where(np.isnan(one.mean), fleet.deviation, one.deviation))
    floor = np.where((reference > 0) | (spread == 0), abs(reference), 0.0)
    scale = np.maximum(deviation, FLOOR * np.maximum(spread, floor))
    return np.stack([centre, np.where(scale > 0, scale, 1.0), np.ones_like(scale)])


def with_error_units(graph: Graph, pool: Pool, known: Profiles) -> Profiles:
    """The profiles with error units from the fit span; sets the graph's own units, those of the windows of all series.

    A unit is half the mean and half the 0.99 quantile of a channel's error, at least a tenth of the mean unit, and at
    least SMALLEST_UNIT. A series' unit in its profile says how much larger its errors are than those of all: the
    geometric mean over aspects. The fleet's says how much larger they are where all series have the fleet's profile.
    """
    table = known.table.copy()  # [S + 1, 3, C]
    scored = graph.scored.numpy() > 0
    every = pool.spread(MOST)
    if not len(every):  # no window was observed well enough
        return known
    causal, settled = _errors(graph, pool.windows(every), table[pool.row[every]])  # [M, A, C] each
    otherwise = np.ones(graph.unit.shape)
    usual = _units(causal, scored, otherwise)
    graph.unit.copy_(torch.from_numpy(usual))
    graph.settled_unit.copy_(torch.from_numpy(_units(settled, scored, otherwise)))
    if len(table) == 2 and np.array_equal(table[0], table[1]):  # the fleet is one series
        return known
    most = int(np.clip(ENOUGH // max(len(known.series), 1), FEWEST, MOST))
    by_row = np.argsort(pool.row, kind="stable")
    begins = np.searchsorted(pool.row[by_row], np.arange(len(table) + 1))
    for row in range(len(table)):
        which = by_row[begins[row] : begins[row + 1]]
        own = which[evenly(len(which), most)] if row else every
        if len(own):
            causal, _ = _errors(graph, pool.windows(own), np.repeat(table[row : row + 1], len(own), axis=0))
            table[row, 2] = np.exp(np.log(_units(causal, scored, usual) / usual).mean(axis=0))
    return Profiles(known.series, table)


def growth(graph: Graph, pool: Pool, known: Profiles) -> Growth:
    """By how much error units are to grow for what windows show that were not fitted on: never by less than 1.

    What a model knows by heart, or what has begun to drift, would else be louder than the rest.
    """
    which = pool.spread(MOST)
    before = graph.unit.double().numpy(), graph.settled_unit.double().numpy()
    if not len(which):
        return Growth(*(np.ones(one.shape) for one in before))
    scored = graph.scored.numpy() > 0
    errors = _errors(graph, pool.windows(which), known.table[pool.row[which]])
    now = [
        _units(one / known.table[pool.row[which], 2][:, None], scored, at)
        for one, at in zip(errors, before, strict=True)
    ]
    return Growth(*(np.maximum(units / at, 1.0) for units, at in zip(now, before, strict=True)))


def grow(graph: Graph, by: Growth) -> None:
    """Let the graph's error units be so much larger."""
    for unit, factor in ((graph.unit, by.causal), (graph.settled_unit, by.settled)):
        unit.mul_(torch.from_numpy(factor))


def _errors(graph: Graph, windows: NDArray[np.float32], profile: NDArray[np.float32]) -> tuple[Doubles, Doubles]:
    """Causal and settled errors [M, A, C] under profiles [M, 3, C]; NaN where a channel was silent."""
    parts = []
    with torch.no_grad():
        for at in range(0, len(windows), SLICE):
            some = slice(at, at + SLICE)
            errors = graph.channel_errors(torch.from_numpy(windows[some]), torch.from_numpy(profile[some]))
            seen = errors.share > 0
            parts.append(torch.stack([torch.where(seen, one, torch.nan) for one in errors[:2]]))
    causal, settled = torch.cat(parts, dim=1).double().numpy()
    return causal, settled


def _units(errors: Doubles, scored: NDArray[np.bool_], otherwise: Doubles) -> Doubles:
    """Error units [A, C] of errors [M, A, C]; channels that were silent have another's."""
    silent = np.isnan(errors).all(axis=0)
    errors = np.where(silent, 0.0, errors)
    units = 0.5 * np.nanquantile(errors, 0.99, axis=0) + 0.5 * np.nanmean(errors, axis=0)
    counts = scored & ~silent
    typical = np.where(counts, units, 0.0).sum(axis=1) / counts.sum(axis=1).clip(1)  # [A]
    units = np.maximum(units, FLOOR * typical[:, None])
    return np.where(silent, otherwise, np.maximum(units, SMALLEST_UNIT))
