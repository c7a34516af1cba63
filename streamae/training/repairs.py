"""Repairs: how much of what a model leaves over of a window is worth keeping, and what cleaning and filling then gain.

Noise is added to windows of the calibrate span, or cells of them are hidden; what brings back what was there is learnt
on every other block of windows, and held against what one would take instead on the blocks between.

B windows, T ticks, G ticks that are given out, C channels, S taps, D classes of how far neighbours are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamae.config import Training
from streamae.config.objectives import Denoising
from streamae.detection.repairing import CLASSES, REACH, TAPS, Repair, bridge, clean, fill, given_out, level
from streamae.detection.scoring import Scorer
from streamae.training.fitting import FitWindows, pca_of_size
from streamae.training.graph import scale
from streamae.training.objectives import hiding
from streamae.training.series import Floats, Pool
from streamae.training.views import look, show

WINDOWS = 512  # each with noise and holes of its own, again and again where there are fewer
BLOCK = 16  # consecutive windows that are learnt from, then as many that judge
NOISE = 0.1  # scales, where the objective does not say what is noise
SHARE = 0.3  # of what is hidden, in the mean
FEWEST = 10  # hidden cells of a class from which a weight is taken
SHRINK = 10.0  # cells that speak for leaving a channel as it is, beside those that were seen
DEVIATIONS = 4.0  # of noise and of the usual rest together: what is further off is no noise
NORMAL_MEDIAN = 0.6745  # median of the distance from the mean, of normal numbers with deviation 1
OFF = 1e4  # scales from which on differences are not told apart
WIDTHS = (3, 5, 9)  # of a moving average
WAYS: dict[str, Callable[..., torch.Tensor]] = {
    "points": hiding.cells,
    "ticks": hiding.ticks,
    "blocks": hiding.blocks,
    "channels": hiding.channels,
}

Rebuild = Callable[[Floats, NDArray[np.int64]], Floats]  # windows [B, T, C], their rows of profiles [B] -> rebuilt
Facts = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """Windows as they were, and as they became."""

    was: Floats  # [B, T, C]
    now: Floats  # [B, T, C]
    scale: Floats  # [B, C]
    ticks: slice  # that are given out
    judging: NDArray[np.bool_]  # [B] not learnt from
    scored: NDArray[np.bool_]  # [C]

    def scaled(self, off: Floats) -> Floats:
        """Differences [B, T, C] in scales, as far as they are told apart."""
        near: Floats = np.clip(off / self.scale[:, None], -OFF, OFF)
        return near

    def error(self, found: Floats, of: NDArray[np.bool_]) -> float:
        """The root mean square error, in scales, of some given-out cells [B, G, C] of the windows that judge."""
        off = self.scaled(found - self.was)[:, self.ticks]
        counted = of & ~np.isnan(off) & self.judging[:, None, None] & self.scored
        return float(np.sqrt(np.mean(off[counted].astype(np.float64) ** 2))) if counted.any() else float("nan")


def measure(scorer: Scorer, pool: Pool, fit: FitWindows, training: Training) -> tuple[Repair, Facts]:
    """What to keep of the rest, by windows of `pool`, and what that gains, beside what one would take instead."""
    artifact = scorer.artifact
    each = pool.spread(WINDOWS)
    which, blocks = (np.resize(one, WINDOWS * (len(each) > 0)) for one in (each, np.arange(len(each)) // BLOCK))
    names = np.array(["", *artifact.profiles.series], dtype=object)

    def model(windows: Floats, rows: NDArray[np.int64]) -> Floats:
        return scorer.reconstruct(windows, names[rows].tolist())

    was, rows = pool.windows(which), pool.row[which]
    scales = artifact.profiles.table[rows][:, 1]
    judging = blocks % 2 == 1
    scored = np.array([channel.scored for channel in artifact.manifest.channels])
    pca = _pca(fit, training.code, artifact.profiles.table)
    noise = training.aim.noise if isinstance(training.aim, Denoising) and training.aim.noise else NOISE
    noisy = was + noise * scales[:, None] * np.random.default_rng(0).normal(size=was.shape).astype(np.float32)
    ticks = given_out(artifact.manifest.window)
    trial = Trial(was, noisy, scales, ticks, judging, scored)
    repairs, cleaning = _cleaning(trial, rows, {"model": model, "pca": pca, "wiener": _no_model}, noise)
    facts: Facts = {"noise": noise, "clean": cleaning}
    if training.fills:
        hidden = Trial(was, np.where(_hidden(was), np.float32(np.nan), was), scales, ticks, judging, scored)
        repairs, facts["impute"] = _filling(hidden, rows, {"model": model, "pca": pca}, repairs)
    return repairs["model"], facts


def _pca(fit: FitWindows, code: int, profiles: Floats) -> Rebuild:
    """PCA with as many numbers as the code."""
    part = pca_of_size(fit, code)

    def rebuild(windows: Floats, which: NDArray[np.int64]) -> Floats:
        profile = profiles[which]
        with torch.no_grad():
            expected, _ = part(*look(*scale(torch.from_numpy(windows), torch.from_numpy(profile))))
            shown: Floats = show(expected, windows.shape[1]).numpy()
        return shown * profile[:, 1:2] + profile[:, :1]

    return rebuild


def _no_model(windows: Floats, rows: NDArray[np.int64]) -> Floats:
    return np.broadcast_to(level(windows), windows.shape)


def _cleaning(
    trial: Trial, rows: NDArray[np.int64], rebuilders: dict[str, Rebuild], noise: float
) -> tuple[dict[str, Repair], Facts]:
    """How the rest of each is filtered, and the dB that this gains."""
    every = ~np.isnan(trial.was[:, trial.ticks])
    before = trial.error(trial.now, every)
    repairs, gains = {}, {}
    for name, rebuild in rebuilders.items():
        rebuilt = rebuild(trial.now, rows)
        repairs[name] = _filter(trial, rebuilt, noise)
        gains[name] = _db(before, trial.error(clean(trial.now, rebuilt, trial.scale, repairs[name]), every))
    averages = [_db(before, trial.error(moving_average(trial.now, width), every)) for width in WIDTHS]
    return repairs, {**gains, "moving average": max(averages)}


def _db(before: float, after: float) -> float:
    return round(20 * float(np.log10(max(before, 1e-12) / max(after, 1e-12))), 2)


def moving_average(windows: Floats, width: int) -> Floats:
    """The mean of what is there of so many ticks around each: [B, T, C]."""
    reach = width // 2
    padded = np.pad(windows, ((0, 0), (reach, reach), (0, 0)), constant_values=np.nan)
    around = sliding_window_view(padded, width, axis=1)
    there = ~np.isnan(around)
    mean = np.nansum(around, axis=-1) / np.maximum(there.sum(axis=-1), 1)
    return np.where(np.isnan(windows), np.nan, mean).astype(np.float32)


def _filter(trial: Trial, rebuilt: Floats, noise: float) -> Repair:
    """The filter that brings what is left over of noisy windows nearest to what is left over of clean ones."""
    clean_rest = trial.scaled(trial.was - rebuilt)
    rest, most = _near_rest(trial, clean_rest, noise)
    now = np.nan_to_num(trial.scaled(trial.now - rebuilt))
    near = np.clip(now, -most, most)
    padded = np.pad(near, ((0, 0), (REACH, REACH), (0, 0))).astype(np.float64)
    taps = sliding_window_view(padded, TAPS - 1, axis=1)[:, trial.ticks]
    drawn = trial.scaled(level(trial.now) - rebuilt)[:, trial.ticks]
    taps = np.concatenate([taps, drawn[..., None]], axis=-1)  # [B, G, C, S]
    aim = (clean_rest - (now - near))[:, trial.ticks].astype(np.float64)
    counted = ~np.isnan(aim) & ~trial.judging[:, None, None]
    taps, aim = taps * counted[..., None], np.where(counted, aim, 0.0)
    as_it_is = np.eye(TAPS)[REACH]
    gram = np.einsum("bgcs,bgct->cst", taps, taps)
    power = np.trace(gram, axis1=1, axis2=2) / TAPS / np.maximum(counted.sum(axis=(0, 1)), 1)
    shrunk = gram + (SHRINK * power + 1e-9)[:, None, None] * np.eye(TAPS)
    along = np.einsum("bgcs,bgc->cs", taps, aim) - gram @ as_it_is
    kernel = as_it_is + np.linalg.solve(shrunk, along[..., None])[..., 0]
    none = np.empty((0, len(most)), np.float32)
    return Repair(kernel.T.astype(np.float32), rest, none, none)


def _near_rest(trial: Trial, rest: Floats, noise: float) -> tuple[Floats, Floats]:
    """Of what is left over of clean windows: spread, correlation with the tick before, the most that may be noise."""
    ticks = slice(max(trial.ticks.start - 1, 0), max(trial.ticks.stop, 2))
    given = rest[~trial.judging][:, ticks]
    there = np.where(np.isnan(given).all(axis=(0, 1)), 0.0, given)
    usual = np.nanmedian(np.abs(there), axis=(0, 1)) / NORMAL_MEDIAN if given.size else np.zeros(given.shape[2])
    most = (DEVIATIONS * np.sqrt(noise**2 + usual**2)).astype(np.float32)
    near = np.clip(given, -most, most).astype(np.float64)
    both = ~np.isnan(near[:, 1:] * near[:, :-1])
    count = np.maximum(both.sum(axis=(0, 1)), 1)
    power = np.where(both, near[:, 1:] ** 2, 0).sum(axis=(0, 1)) / count
    along = np.where(both, near[:, 1:] * near[:, :-1], 0).sum(axis=(0, 1)) / count
    correlation = np.clip(along / np.maximum(power, 1e-12), 0, 0.99)
    return np.stack([np.sqrt(power), correlation, most]).astype(np.float32), most


def _hidden(windows: Floats) -> NDArray[np.bool_]:
    """What is hidden of each window [B, T, C], in one of the ways in turn."""
    by, shape = torch.Generator().manual_seed(0), torch.from_numpy(windows)
    share = 2 * SHARE * torch.rand(len(windows), 1, 1, generator=by)
    ways = [way(shape, share, by).numpy() for way in WAYS.values()]
    turn = np.arange(len(windows)) % len(ways)
    return np.stack(ways)[turn, np.arange(len(windows))] & ~np.isnan(windows)


def _filling(
    trial: Trial, rows: NDArray[np.int64], rebuilders: dict[str, Rebuild], filters: dict[str, Repair]
) -> tuple[dict[str, Repair], Facts]:
    """The same with weights and spreads, and the error of what is filled, in scales."""
    repairs: dict[str, Repair] = {}
    errors: Facts = {}
    silent = (np.isnan(trial.now) & ~np.isnan(trial.was))[:, trial.ticks]
    for name, rebuild in rebuilders.items():
        rebuilt = rebuild(trial.now, rows)
        repairs[name] = _weights(trial, rebuilt, filters[name])
        filled = fill(trial.now, rebuilt, trial.scale, repairs[name])
        errors[name] = round(trial.error(filled.values, silent), 4)
    for name, found in instead(trial.now).items():
        errors[name] = round(trial.error(found, silent), 4)
    return repairs, errors


def instead(windows: Floats) -> dict[str, Floats]:
    """Windows [B, T, C] filled by what needs no model: straight lines, and the value before; the mean without any."""
    mean, there = level(windows), ~np.isnan(windows)
    straight, _ = bridge(windows - mean, there)
    tick = np.arange(windows.shape[1]).reshape(1, -1, 1)
    before = np.maximum.accumulate(np.where(there, tick, -1), axis=1)
    last = np.where(before >= 0, np.take_along_axis(windows, before.clip(0), axis=1), mean)
    return {"linear": np.where(there, windows, mean + straight), "last value": last}


def _weights(trial: Trial, rebuilt: Floats, repair: Repair) -> Repair:
    """By class and channel: how much of the neighbours' rest to add, and what that leaves (in scales).

    A class of a channel that was hardly seen takes what all channels came to, or else the class before it.
    """
    rest, place = bridge(trial.now - rebuilt, ~np.isnan(trial.now))
    rest, aim = (trial.scaled(one)[:, trial.ticks] for one in (rest, trial.was - rebuilt))
    near = np.clip(rest, -repair.rest[2], repair.rest[2])
    aim = aim - (rest - near)
    counted = (np.isnan(trial.now) & ~np.isnan(trial.was))[:, trial.ticks] & ~trial.judging[:, None, None]
    weight = np.zeros((CLASSES, rest.shape[2]))
    spread = np.zeros_like(weight)
    for one in range(CLASSES):
        here = counted & (place[:, trial.ticks] == one)
        sums = [
            np.where(here, each, 0.0).sum(axis=(0, 1), dtype=np.float64) for each in (here, near * aim, near**2, aim**2)
        ]
        few = sums[0] < FEWEST
        count, along, power, total = (np.where(few, each.sum(), each) for each in sums)
        weight[one] = np.clip(along / np.maximum(power, 1e-12), 0, 1)
        left = total - 2 * weight[one] * along + weight[one] ** 2 * power
        spread[one] = np.sqrt(np.maximum(left, 0) / np.maximum(count, 1))
        if sums[0].sum() < FEWEST and one:
            weight[one], spread[one] = weight[one - 1], spread[one - 1]
    return replace(repair, weight=weight.astype(np.float32), spread=spread.astype(np.float32))
