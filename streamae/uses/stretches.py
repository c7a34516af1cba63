"""Stretches: what serving would publish of stored readings, tick by tick: cleaned, or silence filled; and codes.

The windows that serve, closed until every tick was given out.

B windows, G ticks that are given out, N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.repairing import given_out
from streamae.detection.runtime import Device
from streamae.detection.uses import Use, Used, Uses
from streamae.detection.windows import Windows
from streamae.history.scoring import MIN_OBSERVED, Progress, closed_windows
from streamae.history.stored import Stored
from streamae.training.files import Table

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


class Codes(NamedTuple):
    """Windows [B] and where they lie among all that the model knows."""

    series: list[str]  # [B]
    start: Ints  # [B] ms
    end: Ints  # [B] ms
    observed: Doubles  # [B] share of the values that are there
    embedding: NDArray[np.float32]  # [B, K]


class Ticks(NamedTuple):
    """Rows [N], a tick of a series each, of which something is known."""

    series: list[str]  # [N]
    time: Ints  # [N] when the tick begins, ms
    values: Doubles  # [N, C]
    uncertainty: Doubles | None  # [N, C] of what is filled; NaN where measured


class Asked(NamedTuple):
    """What is to be made of stored readings."""

    use: Use
    min_observed: float = MIN_OBSERVED  # of a window that has a code
    device: Device = "cpu"


def codes(artifact: Artifact, table: Table, asked: Asked, progress: Progress | None = None) -> Iterator[Codes]:
    """The codes of the windows that are complete. Raises ConfigError, DataError."""
    uses, stored = Uses(artifact, ["embed"], asked.device), Stored.of(table, artifact.manifest)
    for windows in closed_windows(stored, stored.end, progress):
        embedding = uses.of(windows).embedding
        assert embedding is not None  # noqa: S101
        rows = np.flatnonzero(windows.observed >= asked.min_observed)
        series = [windows.series[row] for row in rows.tolist()]
        yield Codes(series, windows.start[rows], windows.end[rows], windows.observed[rows], embedding[rows])


def ticks(artifact: Artifact, table: Table, asked: Asked, progress: Progress | None = None) -> Iterator[Ticks]:
    """What becomes of the ticks of stored readings, as windows give them out. Raises ConfigError, DataError."""
    uses, stored = Uses(artifact, [asked.use], asked.device), Stored.of(table, artifact.manifest)
    window = artifact.manifest.window
    for windows in closed_windows(stored, stored.end + window.length_ms, progress):
        yield _given_out(windows, uses.of(windows), asked, stored)


def _given_out(windows: Windows, used: Used, asked: Asked, stored: Stored) -> Ticks:
    values = used.imputed if asked.use == "impute" else used.cleaned
    assert values is not None  # noqa: S101
    cadence = stored.window.cadence_ms
    first, last = given_out(stored.window).start, given_out(stored.window).stop
    time = windows.start[:, None] + np.arange(first, last) * cadence  # [B, G]
    known = ~np.isnan(values).all(axis=2) & (time < stored.end)
    row, tick = np.nonzero(known)
    series = [windows.series[one] for one in row.tolist()]
    sure = None if used.uncertainty is None else used.uncertainty[row, tick]
    return Ticks(series, time[row, tick], values[row, tick], sure)
