"""Thresholds: the error that a share of normal blocks exceeds, from the largest errors of other normal blocks.

A rule takes the largest error of each block, as logs [N] in order of time, and the share; it says the log of the
threshold. What a rule makes of few blocks, or of two kinds of them, is bounded for all rules alike.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamae.config import ThresholdRule

FITTED = 40  # blocks that Gumbel's law is fitted to, where there are as many
PEAKS = 0.25  # of the blocks: those that the law of peaks is fitted to
USUAL_TAIL, USUAL_PEAKS = 0.5, 10  # mean by which the log of a peak exceeds the quantile; the peaks that it counts for
USUAL_SPREAD, USUAL_BLOCKS = 0.4, 1  # scale of Gumbel's law of logs; the blocks that it counts for
FURTHEST = 5.0  # times the largest error that was seen: a law reaches no further
SMALLEST = 1e-2  # error units; smaller errors are taken for this, so that exact models do not alert on nothing
EULER = 0.5772156649015329

Doubles = NDArray[np.float64]
COUNTING: tuple[ThresholdRule, ...] = ("conformal", "quantile")  # they go no further than what was seen


def threshold(maxima: Doubles, share: float, rule: ThresholdRule = "gumbel") -> float:
    """The error that a share of blocks exceeds, from the largest errors [N] of normal blocks in order.

    No more blocks exceed it than are allowed, or one, whatever the rule says.
    """
    log = np.log(np.maximum(maxima, SMALLEST))
    allowed = max(int(len(log) * share), 1)
    counted = np.sort(log)[-1 - allowed] if len(log) > allowed else -np.inf
    bounded = min(RULES[rule](log, share), log.max() + np.log(FURTHEST))
    return float(np.exp(max(bounded, counted)) * (1 + 1e-6))


def quantile(log: Doubles, share: float) -> float:
    """The empirical quantile: what that share of the blocks reached. It never exceeds what was seen."""
    return float(np.quantile(log, 1 - share, method="higher"))


def conformal(log: Doubles, share: float) -> float:
    """The smallest order statistic that a further block exceeds with a chance of at most `share`, if exchangeable.

    Split conformal: the ceil((N + 1)(1 - share))-th smallest (Papadopoulos et al., "Inductive Confidence Machines for
    Regression", 2002; Lei et al., "Distribution-Free Predictive Inference for Regression", 2018, algorithm 2). With
    fewer than 1 / share - 1 blocks none is, and the largest stands for it.
    """
    rank = min(int(np.ceil((len(log) + 1) * (1 - share))), len(log))
    return float(np.sort(log)[rank - 1])


def pot(log: Doubles, share: float) -> float:
    """Peaks over a high quantile: beyond it, logs of errors fall off exponentially, as far as is asked.

    Hill's estimate of the tail ("A Simple General Approach to Inference About the Tail of a Distribution", 1975),
    followed to a quantile as Weissman does ("Estimation of Parameters and Large Quantiles Based on the k Largest
    Observations", 1978); the same as equation 1 of Siffer et al., "Anomaly Detection in Streams with Extreme Value
    Theory", 2017, with shape 0 on logs. The estimate is drawn towards a usual tail, as if that had been seen in some
    peaks more: few peaks say little about it.
    """
    peaks = int(np.ceil(len(log) * PEAKS))
    if peaks <= len(log) * share:
        return quantile(log, share)
    beyond = np.sort(log)[-peaks:]
    tail = ((beyond - beyond[0]).sum() + USUAL_PEAKS * USUAL_TAIL) / (peaks + USUAL_PEAKS)
    return float(beyond[0] + tail * np.log(peaks / (len(log) * share)))


def gumbel(log: Doubles, share: float) -> float:
    """Largest errors of blocks follow Gumbel's law, by L-moments (Hosking, "L-Moments", 1990, table 2).

    The more blocks there are, the longer ones are made of them: the law holds the better, and reaches less far beyond
    what was seen. Its spread is drawn towards a usual one, as if that had been seen in a block more: one says nothing
    of it, and a few that are alike say little about the next.
    """
    joined = max(1, len(log) // FITTED)
    maxima = block_maxima(log, joined)
    mean, half_difference = lmoments(maxima)
    seen = half_difference / np.log(2)
    known = len(maxima) - 1
    spread = (known * seen + USUAL_BLOCKS * USUAL_SPREAD) / (known + USUAL_BLOCKS)
    return float(mean - EULER * spread - spread * np.log(-joined * np.log1p(-share)))


def lmoments(values: Doubles) -> tuple[float, float]:
    """The first two L-moments of a sample: its mean, and half the mean difference of two of its values."""
    count = len(values)
    weights = (2 * np.arange(count) - (count - 1)) / max(count - 1, 1)
    return float(values.mean()), max(float(weights @ np.sort(values)) / count, 0.0)


def block_maxima(values: Doubles, block: int) -> Doubles:
    """The largest of each whole block [N] of consecutive values."""
    whole = len(values) // block * block
    return np.asarray(values[:whole].reshape(-1, block).max(axis=1))


RULES: dict[ThresholdRule, Callable[[Doubles, float], float]] = {
    "gumbel": gumbel,
    "pot": pot,
    "conformal": conformal,
    "quantile": quantile,
}
