"""Building: from material to an artifact, by way of the exported graph.

B windows, T ticks, C channels.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamae.config import Training
from streamae.detection.artifact import Artifact, Golden, Profiles
from streamae.detection.manifest import Manifest, Threshold, WindowSpec
from streamae.detection.scoring import Scorer
from streamae.training.calibration import Budget, Calibrated, NormalErrors, calibrate, settled_smoothing
from streamae.training.evaluation import Judged, judge
from streamae.training.export import export
from streamae.training.fitting import Fitted, Progress, fit
from streamae.training.graph import Graph
from streamae.training.matching import Event
from streamae.training.material import Material, all_spans
from streamae.training.parity import prove_coding, prove_parity
from streamae.training.profiles import Growth, grow, growth, with_error_units
from streamae.training.repairs import measure
from streamae.training.series import Floats, Ints, Pool, Stretch
from streamae.training.views import MOST_ROWS

PROBES = 256  # windows that parity is proved on
GOLDEN = 16
REFIT_SHARE = 0.3  # of the steps that were taken, to get used to the newer spans
SLICE = 1024  # windows at a time

Probes = tuple[Floats, Ints]


@dataclass(frozen=True)
class Rehearsed:
    """A scorer with thresholds, and what it came to on the judge span."""

    scorer: Scorer
    calibrated: Calibrated
    judged: Judged | None


@dataclass(frozen=True)
class Built:
    """An artifact without its report, and how it came about."""

    artifact: Artifact
    fitted: Fitted
    rehearsed: Rehearsed  # before any refit
    seconds: dict[str, float]
    uses: dict[str, Any]  # what cleaning and filling gain


def build(material: Material, training: Training, progress: Progress | None = None) -> Built:
    """Fit, export, calibrate, prove and judge. Raises DataError, ConfigError, ExportRefused.

    With `training.refit` the model that was judged is then fitted once more, on all three spans. It keeps the
    thresholds, in error units, for there is nothing left to calibrate it on.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "fit"):
        fitted = fit(material.fit, material.scored, training, progress)
        profiles, grown = with_grown_units(fitted.graph, material)
    with timed(seconds, "export"):
        exported = export(fitted.graph, material.window.length, kind(training))
    draft = replace(unexported(material, training, profiles), **vars(exported))
    rehearsed = rehearse(Scorer(draft), material, training, seconds)
    with timed(seconds, "repair"):
        every = msgspec.structs.replace(material.window, stride=1)
        pool = _counted(material.calibrate, profiles, every, material)
        repair, uses = measure(rehearsed.scorer, pool, material.fit, training)
        rehearsed.scorer.artifact = replace(rehearsed.scorer.artifact, repair=repair)
    with timed(seconds, "prove"):
        artifact = _proved(rehearsed.scorer, material, fitted.graph)
    if training.refit:
        with timed(seconds, "refit"):
            graph, refitted = _refitted(material, training, fitted, grown, rehearsed.scorer.artifact)
            artifact = _proved(Scorer(refitted), material, graph)
    return Built(artifact, fitted, rehearsed, seconds, uses)


def rehearse(scorer: Scorer, material: Material, training: Training, seconds: dict[str, float]) -> Rehearsed:
    """Thresholds on calibrate through the graph that is served, then what it says of judge."""
    with timed(seconds, "calibrate"):
        calibrated = calibrate(list(_normal_errors(scorer, material)), budget(material, training))
        thresholds = {"threshold": calibrated.fleet, "thresholds": calibrated.series}
        manifest = msgspec.structs.replace(scorer.artifact.manifest, **thresholds)
        able = copy.copy(scorer)
        able.artifact = replace(scorer.artifact, manifest=manifest)
    if "judge" not in material.spans:
        return Rehearsed(able, calibrated, None)
    with timed(seconds, "judge"):  # times that are not normal count as events
        events = [Event(*one) for one in material.left_out]
        return Rehearsed(able, calibrated, judge(able, material.everything, material.config.rules(), events))


def with_grown_units(graph: Graph, material: Material) -> tuple[Profiles, Growth]:
    """Profiles with error units from fit, and by how much the graph's own grew for what calibrate shows."""
    known = with_error_units(graph, material.fit.learn, material.fit.profiles)
    every = msgspec.structs.replace(material.window, stride=1)
    grown = growth(graph, _counted(material.calibrate, known, every, material), known)
    grow(graph, grown)
    return known, grown


def _refitted(
    material: Material, training: Training, fitted: Fitted, grown: Growth, before: Artifact
) -> tuple[Graph, Artifact]:
    """Graph and artifact, fitted once more on all spans: a network goes on from its weights for a while.

    There is nothing left that it was not fitted on: its error units grow by as much as those of the fit before.
    """
    windows = all_spans(material)
    steps = max(round(REFIT_SHARE * fitted.best_step), 1)
    again = fit(windows, material.scored, msgspec.structs.replace(training, steps=steps), before=fitted.graph)
    profiles = with_error_units(again.graph, windows.learn, windows.profiles)
    grow(again.graph, grown)
    exported = export(again.graph, material.window.length, kind(training))
    return again.graph, replace(before, profiles=profiles, **vars(exported))


def _proved(scorer: Scorer, material: Material, graph: Graph) -> Artifact:
    """The artifact with its proof of parity and its golden windows. Raises ExportRefused."""
    artifact = scorer.artifact
    probes, rows = _probes(scorer, material, PROBES)
    parity = prove_parity(graph, scorer, (probes, artifact.profiles.table[rows]), artifact.manifest.threshold)
    prove_coding(graph, artifact, (probes, artifact.profiles.table[rows]))
    manifest = msgspec.structs.replace(artifact.manifest, parity=parity)
    return replace(artifact, manifest=manifest, golden=_golden(scorer, material))


def kind(training: Training) -> bytes:
    """What decides about the structure of a graph, beside its windows' shape."""
    decides = ("autoencoder", "aim", "nodes", "code", "token", "heads", "activation", "rank", "context")
    return msgspec.json.encode([getattr(training, name) for name in decides])


def budget(material: Material, training: Training) -> Budget:
    """What the thresholds are calibrated for."""
    fire_after = material.config.episodes.fire_after
    return Budget(training.budget_per_week, material.window, fire_after, training.threshold_rule)


def unexported(material: Material, training: Training, profiles: Profiles) -> Artifact:
    """An artifact without graphs: nothing in it has been calibrated or proved."""
    manifest = Manifest(
        name=material.config.model,
        autoencoder=training.autoencoder,
        channels=material.channels,
        window=material.window,
        settled_smoothing=settled_smoothing(material.window),
        settled_lag=min(material.window.length, MOST_ROWS) // 2,
        threshold=Threshold(error=1.0, settled=1.0),
        budget_per_week=training.budget_per_week,
        spans=material.spans,
        parity=(),
    )
    return Artifact(manifest, b"", b"", profiles, _no_golden(material))


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
    return _counted(parts, scorer.artifact.profiles, material.window, material)


def _counted(parts: Sequence[Stretch], known: Profiles, window: WindowSpec, material: Material) -> Pool:
    return Pool(parts, known.series, window, material.config.episodes.min_observed)


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
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Keep how many seconds a step took."""
    began = time.perf_counter()
    yield
    seconds[step] = round(time.perf_counter() - began, 2)
