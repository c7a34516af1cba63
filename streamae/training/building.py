"""Building: from material to an artifact, by way of the exported graph.

B windows, T ticks, C channels.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamae.config import Training
from streamae.detection.artifact import Artifact, Golden, Manifest, Threshold
from streamae.detection.scoring import Scorer
from streamae.training.calibration import Budget, Calibrated, NormalErrors, calibrate, settled_smoothing
from streamae.training.evaluation import Judged, judge
from streamae.training.export import export, prove_parity
from streamae.training.fitting import Fitted, FitWindows, Progress, fit
from streamae.training.matching import Event
from streamae.training.material import Material, all_spans
from streamae.training.profiles import with_error_units
from streamae.training.series import Floats, Ints, Pool, Stretch

PROBES = 256  # windows that parity is proved on
GOLDEN = 16
SLICE = 1024  # windows at a time

Probes = tuple[Floats, Ints]


@dataclass(frozen=True)
class Built:
    """An artifact without its report, and how it came about."""

    artifact: Artifact
    fitted: Fitted
    calibrated: Calibrated
    judged: Judged | None
    seconds: dict[str, float]


def build(material: Material, training: Training, progress: Progress | None = None) -> Built:
    """Fit, export, calibrate, prove and judge. Raises DataError, ConfigError, ExportRefused.

    With `training.refit` the model that was judged is then fitted once more, on all three spans. It keeps the
    thresholds, in error units, for there is nothing left to calibrate it on.
    """
    seconds: dict[str, float] = {}
    fitted, draft = _fitted(material, material.fit, training, seconds, progress)
    with _timed(seconds, "calibrate"):
        calibrated = calibrate(list(_normal_errors(Scorer(draft), material)), budget(material, training))
    artifact = _finished(material, draft, fitted, calibrated)
    with _timed(seconds, "judge"):
        judged = _judge(artifact, material) if "judge" in material.spans else None
    if training.refit:
        with _timed(seconds, "refit"):
            same_steps = msgspec.structs.replace(training, steps=max(fitted.best_step, 1))
            again, draft = _fitted(material, all_spans(material), same_steps, {})
            artifact = _finished(material, draft, again, calibrated)
    return Built(artifact, fitted, calibrated, judged, seconds)


def _fitted(
    material: Material,
    windows: FitWindows,
    training: Training,
    seconds: dict[str, float],
    progress: Progress | None = None,
) -> tuple[Fitted, Artifact]:
    """A fitted graph, and a draft of its artifact: nothing in it has been calibrated or proved."""
    with _timed(seconds, "fit"):
        fitted = fit(windows, material.scored, training, progress)
        profiles = with_error_units(fitted.graph, windows.learn, windows.profiles)
    with _timed(seconds, "export"):
        exported = export(fitted.graph, material.window.length)
    draft = _draft(material, training)
    return fitted, Artifact(draft, exported.model, exported.full, profiles, _no_golden(material))


def _finished(material: Material, draft: Artifact, fitted: Fitted, calibrated: Calibrated) -> Artifact:
    """The draft with its thresholds, its proof of parity and its golden windows. Raises ExportRefused."""
    scorer = Scorer(draft)
    probes, rows = _probes(scorer, material, PROBES)
    parity = prove_parity(fitted.graph, scorer, (probes, draft.profiles.table[rows]), calibrated.fleet)
    manifest = msgspec.structs.replace(
        draft.manifest, threshold=calibrated.fleet, thresholds=calibrated.series, parity=parity
    )
    return replace(draft, manifest=manifest, golden=_golden(scorer, material))


def budget(material: Material, training: Training) -> Budget:
    """What the thresholds are calibrated for."""
    fire_after = material.config.episodes.fire_after
    return Budget(training.budget_per_week, material.window, fire_after, training.threshold_rule)


def _judge(artifact: Artifact, material: Material) -> Judged:
    """Judge with the rules that would be served by; times that are not normal count as events."""
    return judge(artifact, material.everything, material.config.rules(), [Event(*one) for one in material.left_out])


def _draft(material: Material, training: Training) -> Manifest:
    return Manifest(
        name=material.config.model,
        autoencoder=training.autoencoder,
        channels=material.channels,
        window=material.window,
        settled_smoothing=settled_smoothing(material.window),
        settled_lag=material.window.length // 2,
        threshold=Threshold(error=1.0, settled=1.0),
        budget_per_week=training.budget_per_week,
        spans=material.spans,
        parity=(),
    )


def _normal_errors(scorer: Scorer, material: Material) -> Iterator[NormalErrors]:
    """Errors of each series on calibrate, in the windows that would be served, through the exported graph."""
    for name in sorted({part.series for part in material.calibrate}):
        pool = _served(scorer, material, [part for part in material.calibrate if part.series == name])
        profile = scorer.artifact.profiles.rows([name])  # [1, 3, C]
        slices = [np.arange(at, min(at + SLICE, len(pool))) for at in range(0, len(pool), SLICE)]
        parts = [scorer.errors(pool.windows(some), np.repeat(profile, len(some), axis=0)) for some in slices]
        if parts:
            error, settled = ([part.error for part in parts], [part.settled_error for part in parts])
            yield NormalErrors(name, np.concatenate(error), np.concatenate(settled))


def _served(scorer: Scorer, material: Material, parts: Sequence[Stretch]) -> Pool:
    """The windows of some stretches that serving would count."""
    return Pool(parts, scorer.artifact.profiles.series, material.window, material.config.episodes.min_observed)


def _probes(scorer: Scorer, material: Material, most: int) -> Probes:
    """At most so many windows from calibrate [B, T, C], some cells silenced, and the profile row of each [B]."""
    pool = _served(scorer, material, material.calibrate)
    chosen = pool.spread(most)
    windows = pool.windows(chosen)
    windows[1::4][np.random.default_rng(0).random(windows[1::4].shape) < 0.1] = np.nan
    windows[2::4, :, 0] = np.nan  # a channel
    windows[3::8, windows.shape[1] // 2 :] = np.nan  # the newest half
    windows[7::16] = np.nan  # everything
    return windows, pool.row[chosen]


def _golden(scorer: Scorer, material: Material) -> Golden:
    windows, rows = _probes(scorer, material, GOLDEN)
    profile = scorer.artifact.profiles.table[rows]
    errors = scorer.errors(windows, profile)
    return Golden(windows, profile, errors.error, errors.settled_error, errors.channel_error)


def _no_golden(material: Material) -> Golden:
    def none(*shape: int) -> NDArray[np.float32]:
        return np.empty((0, *shape), np.float32)

    channels = len(material.channels)
    return Golden(none(material.window.length, channels), none(3, channels), none(), none(), none(channels))


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[step] = round(time.perf_counter() - began, 2)
