"""Gate: is the autoencoder worth it beside its baselines?

Copies of normal windows get synthetic anomalies in their newest ticks. Each model is set to the same false alarms, on
those windows as they were; what counts is which anomalies it finds then. Of those that one model alone finds, as many
are found by either where they are equally good: the sign test of McNemar, "Note on the sampling error of the
difference between correlated proportions or percentages" (1947).

B windows, T ticks, C channels, N anomalies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamae.detection.artifact import Profiles
from streamae.training.series import Floats, Ints, Pool

SEED = 20_260_102
WINDOWS = 192  # normal ones, evenly over the span
ROUNDS = 2  # anomalies to a window
FEWEST = 24  # windows without which nothing can be told apart
FALSE = 0.02  # share of the normal windows that each model calls anomalous
SIZES = (0.5, 1.0, 2.0, 4.0)  # scales of the channel
LASTS = (1, 4, 16, 64)  # newest ticks
DEVIATES = 1.64  # standard deviations: one time in twenty an equally good model looks clearly better

Errors = Callable[[Floats, Ints], Floats]  # windows [B, T, C], rows of their profiles [B] -> errors [B]
Effect = Callable[[NDArray[np.float64], Generator], NDArray[np.float64]]

# What is added, in sizes, over progress in (0, 1] of the anomaly.
ADDED: dict[str, Effect] = {
    "shift": lambda progress, rng: np.full(len(progress), rng.choice((-1.0, 1.0))),
    "drift": lambda progress, rng: progress * rng.choice((-1.0, 1.0)),
    "noise": lambda progress, rng: rng.standard_normal(len(progress)),
    "wave": lambda progress, rng: np.sin(2 * np.pi * (2 * progress + rng.random())),
}
STUCK, OTHER = "stuck", "other time"  # the channel keeps a value; the channel of another window
KINDS = (*ADDED, STUCK, OTHER)


@dataclass(frozen=True)
class Anomalies:
    """Normal windows [B, T, C], copies of them with anomalies [N, T, C], and whose they are."""

    normal: Floats
    rows: Ints  # [B] of the profiles
    spoilt: Floats
    spoilt_rows: Ints  # [N]
    kinds: tuple[str, ...]  # [N]


@dataclass(frozen=True)
class Duel:
    """An autoencoder beside one baseline, on the same anomalies at the same share of false alarms."""

    injected: int
    found: int
    baseline_found: int
    alone: int  # found by the autoencoder alone
    baseline_alone: int
    by_kind: dict[str, tuple[int, int, int]]  # injected, found, found by the baseline

    @property
    def better(self) -> bool:
        """Whether the autoencoder is clearly better."""
        return self.alone - self.baseline_alone > DEVIATES * sqrt(self.alone + self.baseline_alone)

    @property
    def worse(self) -> bool:
        """Whether the baseline is."""
        return self.baseline_alone - self.alone > DEVIATES * sqrt(self.alone + self.baseline_alone)


def anomalies(pool: Pool, profiles: Profiles, scored: NDArray[np.bool_]) -> Anomalies | None:
    """Anomalies in windows of a pool, the same for the same windows; None where there are too few."""
    chosen = pool.spread(WINDOWS)
    if len(chosen) < FEWEST:
        return None
    rng = np.random.default_rng(SEED)
    normal, rows = pool.windows(chosen), pool.row[chosen]
    places = np.tile(np.arange(len(chosen)), ROUNDS)
    spoilt, kinds = normal[places].copy(), []
    for at, place in enumerate(places.tolist()):
        kind = KINDS[at % len(KINDS)]
        channel = int(rng.choice(np.flatnonzero(scored)))
        unit = float(rng.choice(SIZES)) * float(profiles.table[rows[place], 1, channel])
        newest = spoilt[at, -min(int(rng.choice(LASTS)), normal.shape[1] // 2) :, channel]
        newest[:] = _spoil(kind, newest, normal[int(rng.integers(len(normal))), :, channel], unit, rng)
        kinds.append(kind)
    changed = ((spoilt != normal[places]) & ~np.isnan(spoilt)).any(axis=(1, 2))
    kept = tuple(kind for kind, really in zip(kinds, changed.tolist(), strict=True) if really)
    return Anomalies(normal, rows, spoilt[changed], rows[places][changed], kept)


def _spoil(kind: str, newest: Floats, other: Floats, unit: float, rng: Generator) -> NDArray[np.float64]:
    """The newest ticks of a channel [n] with an anomaly; silence stays, and none is added."""
    progress = np.arange(1, len(newest) + 1) / len(newest)
    there = np.flatnonzero(~np.isnan(newest))
    if kind == STUCK:
        changed = np.full(len(newest), newest[there[0]] if len(there) else np.nan)
    elif kind == OTHER:
        changed = other[: len(newest)].astype(np.float64)
    else:
        changed = newest + unit * ADDED[kind](progress, rng)
    return np.where(np.isnan(newest) | np.isnan(changed), newest, changed)


def found(errors: Errors, given: Anomalies) -> NDArray[np.bool_]:
    """Which anomalies [N] a model finds at the same share of false alarms as every other."""
    threshold = np.quantile(errors(given.normal, given.rows), 1 - FALSE)
    return np.asarray(errors(given.spoilt, given.spoilt_rows) > threshold)


def duel(autoencoder: NDArray[np.bool_], baseline: NDArray[np.bool_], kinds: Sequence[str]) -> Duel:
    """Hold what was found against what a baseline found [N each]."""
    each = {kind: np.array(kinds) == kind for kind in KINDS}
    return Duel(
        injected=len(autoencoder),
        found=int(autoencoder.sum()),
        baseline_found=int(baseline.sum()),
        alone=int((autoencoder & ~baseline).sum()),
        baseline_alone=int((baseline & ~autoencoder).sum()),
        by_kind={
            kind: (int(own.sum()), int(autoencoder[own].sum()), int(baseline[own].sum())) for kind, own in each.items()
        },
    )
