"""VUS-PR: how well scores set labelled rows apart, whatever the threshold, without demanding the exact edges of labels.

The volume under the surface of precision and recall (Paparrizos et al., "Volume Under the Surface: A New Accuracy
Evaluation Measure for Time-Series Anomaly Detection", VLDB 2022; thresholds and widths as in TSB-AD's `opt`). One axis
is the threshold: the scores at 250 ranks, evenly apart. The other is a width w, from 0 to a period of the series:

1. A row that is d <= w // 2 rows beside a labelled stretch is labelled by sqrt(1 - d / w); what it gets from several
   stretches is added, up to 1.
2. Hits are the labels of the rows above the threshold, added up; precision is hits over rows above the threshold.
3. Recall is hits over the labelled rows and half of the hits beside them, at most 1; times the share of the stretches,
   longer by w // 2 at both ends and joined where they meet, in which any row is above the threshold.
4. The area of a width is precision times the growth of recall, added up over falling thresholds; the volume is the mean
   of the areas.

N rows, K thresholds, E labelled stretches, P pairs of a row and a stretch near it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = 250
LOOKED_AT = 20_000  # rows in which a period is looked for
LONGEST_LAG = 400
PERIODS = range(6, 304)  # what can be one
USUAL = 125  # where none is found

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]


def period(channel: Doubles) -> int:
    """After how many rows a channel [N] is most like itself: its strongest peak of autocorrelation; else the usual."""
    known = np.where(np.isfinite(channel), channel, 0.0)[:LOOKED_AT]
    around = known - known.mean()
    spectrum = np.fft.fft(around, 1 << (2 * len(around)).bit_length())
    likeness = np.fft.ifft(spectrum * spectrum.conj())[: min(len(around), LONGEST_LAG + 1)].real
    likeness = likeness[3:]
    peaks = np.flatnonzero((likeness[1:-1] > likeness[:-2]) & (likeness[1:-1] > likeness[2:])) + 1
    if not len(peaks):
        return USUAL
    strongest = int(peaks[likeness[peaks].argmax()]) + 3
    return strongest if strongest in PERIODS else USUAL


def volume(label: Flags, score: Doubles, period: int) -> float:
    """VUS-PR of scores [N] against labels [N], in [0, 1]. At least one row has to be labelled.

    A row without a score has the lowest one.
    """
    ranks = _Ranks.of(score)
    stretches, near = _Stretches.of(label), _Near.of(label, period // 2)
    above, labelled = ranks.counted(np.arange(len(label))), ranks.counted(np.flatnonzero(label))
    areas = []
    for width in range(period + 1):
        beside = ranks.counted(*near.labels(width))
        hits = labelled + beside
        recall = np.minimum(hits / (labelled[-1] + beside / 2), 1) * stretches.touched(ranks, width // 2)
        areas.append(np.dot(np.diff(recall, prepend=0), hits / above))
    return float(np.mean(areas))


class _Ranks(NamedTuple):
    """Which threshold, counted from the highest, is the first that a row is not below."""

    of_row: Ints  # [N]

    @classmethod
    def of(cls, score: Doubles) -> _Ranks:
        known = np.isfinite(score)
        score = np.where(known, score, score[known].min(initial=0.0))
        falling = -np.sort(-score)
        threshold = falling[np.linspace(0, len(score) - 1, THRESHOLDS).astype(np.int64)]
        return cls(np.searchsorted(-threshold, -score, side="left"))

    def counted(self, rows: Ints, weight: Doubles | None = None) -> Doubles:
        """How many of some rows, or how much of their weight, are not below each threshold [K]."""
        each = np.bincount(self.of_row[rows], weight, minlength=THRESHOLDS)
        return np.cumsum(each).astype(np.float64)


class _Stretches(NamedTuple):
    """The labelled stretches [E]: their first and last rows."""

    first: Ints
    last: Ints

    @classmethod
    def of(cls, label: Flags) -> _Stretches:
        edges = np.flatnonzero(np.diff(label.astype(np.int8), prepend=0, append=0))
        return cls(edges[::2], edges[1::2] - 1)

    def touched(self, ranks: _Ranks, reach: int) -> Doubles:
        """The share of the stretches, so much longer at both ends, that hold a row not below each threshold [K]."""
        apart = self.first[1:] - self.last[:-1] > 2 * reach
        low = np.maximum(self.first - reach, 0)[np.append(True, apart)]
        high = (self.last + reach + 1)[np.append(apart, True)]
        rank = np.append(ranks.of_row, THRESHOLDS)  # so that a stretch may end with the last row
        bounds = np.stack([low, np.minimum(high, len(ranks.of_row))], axis=1).ravel()
        highest = np.minimum.reduceat(rank, bounds)[::2]
        return np.cumsum(np.bincount(highest, minlength=THRESHOLDS)) / len(highest)


class _Near(NamedTuple):
    """Rows that are not labelled and lie near a labelled stretch, a pair [P] each, the nearest first."""

    rows: Ints  # each row once
    row: Ints  # [P] index into rows
    distance: Ints  # [P]

    @classmethod
    def of(cls, label: Flags, reach: int) -> _Near:
        stretches, away = _Stretches.of(label), np.arange(1, reach + 1)
        row = np.concatenate([stretches.last[:, None] + away, stretches.first[:, None] - away])
        distance = np.broadcast_to(away, row.shape)
        free = (row >= 0) & (row < len(label))
        free[free] = ~label[row[free]]
        order = np.argsort(distance[free], kind="stable")
        rows, index = np.unique(row[free][order], return_inverse=True)
        return cls(rows, index, distance[free][order])

    def labels(self, width: int) -> tuple[Ints, Doubles]:
        """The rows, and how far each is labelled at a width."""
        some = slice(np.searchsorted(self.distance, width // 2, side="right"))
        soft = np.sqrt(1 - self.distance[some] / max(width, 1))
        return self.rows, np.minimum(np.bincount(self.row[some], soft, minlength=len(self.rows)), 1)
