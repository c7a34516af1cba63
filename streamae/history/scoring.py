"""Scoring of stored readings: the windows that serving would give, through the Windower and the Scorer that serve.

When the readings end, every window that is complete is closed. N rows, B windows, T ticks, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, Self

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.grid import Lateness
from streamae.detection.runtime import Device
from streamae.detection.scoring import Scorer, Scores
from streamae.detection.windows import Windows
from streamae.history.stored import Stored
from streamae.training.files import Table

MIN_OBSERVED = 0.5  # share of a window's values without which a reading has no score, as serving has it by default
IN_ORDER = Lateness(max_lag_ms=0)  # of readings that come by event time, none is late

FAR = 10_000  # ticks; more than any window is long

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[int], None]  # is told how many rows were handled so far


class Scored(NamedTuple):
    """Windows [B] and their scores."""

    windows: Windows
    scores: Scores


def scored_windows(scorer: Scorer, stored: Stored, progress: Progress | None = None) -> Iterator[Scored]:
    """The windows of stored readings in the order in which they close, slice by slice, scored."""
    for windows in closed_windows(stored, stored.end, progress):
        yield Scored(windows, scorer.score(windows.values, windows.series))


def closed_windows(stored: Stored, until: int, progress: Progress | None = None) -> Iterator[Windows]:
    """The windows of stored readings in the order in which they close; event time goes on to `until` (ms) at last."""
    windower = stored.windower(IN_ORDER)
    handled = 0
    for readings in stored.slices():
        yield windower.push(readings).windows
        handled += len(readings)
        if progress:
            progress(handled)
    yield by_end(windower.catch_up(until))


def by_end(windows: Windows) -> Windows:
    """The same windows in the order of their ends."""
    order = np.argsort(windows.end, kind="stable")
    columns = {one.name: getattr(windows, one.name)[order] for one in fields(windows) if one.name != "series"}
    return Windows(series=[windows.series[at] for at in order.tolist()], **columns)


@dataclass(frozen=True)
class RowScores:
    """What a model says of each of N stored rows; NaN where too little was observed to say anything."""

    score: Doubles  # [N] of the window that ends with the row: it uses no later row
    settled: Doubles  # [N] averaged over windows of which the last ends the manifest's lag later
    channel_error: Doubles  # [N, C] of the same window as the score


def score_rows(artifact: Artifact, table: Table, progress: Progress | None = None, device: Device = "cpu") -> RowScores:
    """Score every row by the window of which its tick is the last; the first rows of a series by what there is.

    Raises DataError where there is nothing to score.
    """
    manifest = artifact.manifest
    every = msgspec.structs.replace(manifest.window, stride=1)
    each_tick = replace(artifact, manifest=msgspec.structs.replace(manifest, window=every))
    stored = Stored.of(table, each_tick.manifest)
    parts = [_Part.of(part, stored) for part in scored_windows(Scorer(each_tick, device), stored, progress)]
    found = _Found.of(parts, table, every.cadence_ms)
    averaged = manifest.settled_smoothing * manifest.window.stride
    smooth = moving_mean(found.place, found.settled, averaged, manifest.settled_lag)
    at = np.minimum(np.searchsorted(found.place, found.wanted), len(found.place) - 1)
    there = found.place[at] == found.wanted  # not so for rows that hold nothing, in the midst of silence
    return RowScores(
        np.where(there, found.score[at], np.nan),
        np.where(there, smooth[at], np.nan),
        np.where(there[:, None], found.channel_error[at], np.nan),
    )


def moving_mean(place: Ints, values: Doubles, count: int, lag: int) -> Doubles:
    """The mean of the values [B] at the places (p + lag - count, p + lag] of each place p; places ascend.

    NaN takes no part; near the end the mean is over what there is. Each is summed by itself: no series' huge errors
    blur those of another.
    """
    known = ~np.isnan(values)
    number = np.append(0, np.cumsum(known))
    low, high = (np.searchsorted(place, place + lag + end, "right") for end in (-count, 0))
    bounds = np.stack([low, high], axis=1).ravel()
    total = np.add.reduceat(np.append(np.where(known, values, 0.0), 0.0), bounds)[::2]
    counted = number[high] - number[low]
    return np.asarray(np.where(counted > 0, total, np.nan) / np.maximum(counted, 1))


class _Part(NamedTuple):
    """What is kept of a slice of scored windows [B]: not their values."""

    series: Ints  # [B] index into the names
    last_tick: Ints  # [B]
    observed: Doubles  # [B]
    scores: Scores

    @classmethod
    def of(cls, part: Scored, stored: Stored) -> Self:
        series = pd.Index(stored.names).get_indexer(pd.Index(part.windows.series, dtype=object))
        last = part.windows.end // stored.window.cadence_ms - 1
        return cls(series.astype(np.int64), last, part.windows.observed, part.scores)


@dataclass(frozen=True)
class _Found:
    """Windows [B] by series and time, each at its `place`: one number for series and last tick, far apart by series."""

    place: Ints  # [B]
    score: Doubles  # [B]
    settled: Doubles  # [B]
    channel_error: Doubles  # [B, C]
    wanted: Ints  # [N] the place of each row

    @classmethod
    def of(cls, parts: list[_Part], table: Table, cadence_ms: int) -> Self:
        row_tick = table.time // cadence_ms
        first = row_tick.min()
        width = 2 * (row_tick.max() - first + FAR)  # moving means do not reach from one series into the next
        place = np.concatenate([part.series * width + part.last_tick - first for part in parts])
        order = np.argsort(place)
        seen = np.concatenate([part.observed for part in parts])[order] >= MIN_OBSERVED

        def column(name: str) -> Doubles:
            values = np.concatenate([getattr(part.scores, name) for part in parts])[order]
            return np.where(seen.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)

        wanted = table.series * width + row_tick - first
        return cls(place[order], column("score"), column("settled"), column("channel_error"), wanted)
