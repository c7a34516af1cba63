"""Contenders: a model and the baselines that it is held against, each with its alerts and its scores row by row.

A baseline is another autoencoder, trained by the same job on what the model was trained on, with the same windows,
spans and alert budget; or `sigma`, the plain alert that plants have without StreamAE, calibrated for the same budget.

N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamae.config import Config, Retraining, Spans, Windows
from streamae.detection.artifact import Artifact
from streamae.detection.derived import modes_of, periods_of
from streamae.detection.manifest import Manifest
from streamae.detection.scoring import Scorer
from streamae.errors import ConfigError, DataError
from streamae.history.candidates import own
from streamae.history.past import Past, look_back
from streamae.history.scoring import Progress, score_rows
from streamae.history.stored import Stored
from streamae.training import series
from streamae.training.baselines import furthest, sigma_alerts, sigma_for_rate, sigmas
from streamae.training.files import Table, moment
from streamae.training.history import Gathered
from streamae.training.matching import Alerted
from streamae.training.series import Stretch

SIGMA = "sigma"
BASELINES = ("pca", "kmeans", "neighbours", SIGMA)

Doubles = NDArray[np.float64]
Stage = Callable[[str], Progress]  # a stage of the work begins: who is told how many rows it has handled


class Contender(NamedTuple):
    """Who is held against labels."""

    name: str
    alerts: Sequence[Alerted]
    score: Doubles  # [N] causal; NaN = none
    settled: Doubles | None  # [N]; sigma has none


@dataclass(frozen=True)
class Trained:
    """How a model was trained: what its baselines are trained with, and on."""

    config: Config
    gathered: Gathered

    @classmethod
    def again(cls, manifest: Manifest, config: Config, gather: Callable[[Config], Gathered]) -> Trained:
        """What a model's job was given; of what is gathered now, which may have grown since, the time of its spans.

        Raises DataError where the readings are not those of the model's spans.
        """
        asked = as_trained(config, manifest)
        gathered = gather(asked)
        start, end = bounds(manifest)
        table = gathered.table.between(start, end)
        cadence_ms = manifest.window.cadence_ms
        whole = len(table) and int(table.time.min()) < start + cadence_ms and int(table.time.max()) >= end - cadence_ms
        if not whole:
            have = f"{moment(int(gathered.table.time.min()))} to {moment(int(gathered.table.time.max()))}"
            raise DataError(
                f"baselines are trained on what the model was trained on, {moment(start)} to {moment(end)}, and these "
                f"readings, {have}, are not those: give the ones that it was trained on, or ask for no baselines"
            )
        return cls(asked, replace(gathered, table=table))


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The baselines of these names, each once. Raises ConfigError for one that is not there."""
    for name in names:
        if name not in BASELINES:
            raise ConfigError(f"there is no baseline {name!r}; known: {', '.join(BASELINES)}")
    return tuple(dict.fromkeys(names))


def as_trained(config: Config, manifest: Manifest) -> Config:
    """A config with what a manifest says of channels, windows, spans, budget, seed and refit, whatever it says now."""
    window = manifest.window
    windows = Windows(cadence_s=window.cadence_ms / 1000, length=window.length, stride=window.stride)
    names, modes = manifest.measured, modes_of(manifest.names)
    readings = {name: config.readings.channels.get(name, f"$.{name}") for name in names}
    start, end = bounds(manifest)
    fit = (manifest.spans["fit"].end - start) / (end - start)
    judged = manifest.spans.get("judge")
    calibrate = 1 - fit if judged is None else (judged.start - start) / (end - start) - fit
    training = msgspec.structs.replace(
        config.training,
        spans=Spans(fit=fit, calibrate=calibrate),
        context=tuple(name for name in manifest.conditions if name not in modes),
        modes=tuple(modes),
        calendar=tuple(periods_of(manifest.names)),
        ranges={name: width for name, width in config.training.ranges.items() if name in names},
        budget_per_week=manifest.budget_per_week,
        seed=manifest.report.get("seed", config.training.seed),
        refit=bool(manifest.report.get("refit")),
    )
    return msgspec.structs.replace(
        config,
        readings=msgspec.structs.replace(config.readings, channels=readings),
        windows=windows,
        training=training,
        retraining=Retraining(),
    )


def usual_config(manifest: Manifest) -> Config:
    """The config of a model of which nothing but its manifest is known; there is no topic in it."""
    raw = {
        "service": manifest.name,
        "model": manifest.name,
        "topics": {"store": "embedded://", "readings": manifest.name},
        "readings": {"channels": {name: f"$.{name}" for name in manifest.measured}},
        "windows": {"cadence_s": manifest.window.cadence_ms / 1000},
    }
    return as_trained(msgspec.convert(raw, Config), manifest)


def contender(name: str, past: Past, table: Table, progress: Progress) -> Contender:
    """What an artifact says of a past, and of the rows that it is of."""
    told = past.episodes(own(past.manifest).thresholds)
    found = score_rows(past.scorer.artifact, table, progress, past.scorer.device)
    alerts = [Alerted(one.alert.series, one.alert.start, one.alert.end, one.known) for one in told]
    return Contender(name, alerts, found.score, found.settled)


def baseline(name: str, trained: Trained, past: Past, table: Table, stage: Stage) -> Contender:
    """A baseline, trained and held to the readings and rules of a model's past."""
    if name == SIGMA:
        return _sigma(trained, past.manifest, table)
    artifact = _fitted(name, trained, past.manifest, stage(f"training {name}"))
    scorer = Scorer(artifact, past.scorer.device)
    stored = Stored.of(table, artifact.manifest)
    looked = look_back(scorer, stored, past.rules, stage(f"alerts of {name}"))
    return contender(name, looked, table, stage(f"scores of {name}"))


def _fitted(name: str, trained: Trained, manifest: Manifest, progress: Progress) -> Artifact:
    from streamae.training import job  # this alone needs torch

    training = msgspec.structs.replace(trained.config.training, autoencoder=name, baselines=(), gate="warn")
    config = msgspec.structs.replace(trained.config, training=training)

    def stepped(step: int, steps: int, loss: float) -> None:
        progress(len(trained.gathered.table) * step // max(steps, 1))

    return job.train(config, trained.gathered, parent=manifest, progress=stepped)


def _sigma(trained: Trained, manifest: Manifest, table: Table) -> Contender:
    """A channel more than k deviations off its mean: both from the fit span, k for the alert budget on calibrate."""
    window, gathered = manifest.window, trained.gathered
    everything = _scored(gathered.table, manifest)
    fit, calibrate = (
        series.within(everything, manifest.spans[name], window, gathered.left_out) for name in ("fit", "calibrate")
    )
    known = sigmas(fit)
    k = sigma_for_rate(calibrate, known, manifest.budget_per_week, window)
    alerts = sigma_alerts(_scored(table, manifest), known, k, window)
    chosen, origin = _columns(manifest)
    score = np.full(len(table), np.nan)
    for at, of in enumerate(table.names):
        rows = np.flatnonzero(table.series == at)
        if of in known:
            values = np.where(np.isinf(table.values[rows]), np.nan, table.values[rows])
            score[rows] = furthest(values[:, chosen] - origin, known[of]) / max(k, 1e-12)
    return Contender(SIGMA, alerts, score, None)


def _scored(table: Table, manifest: Manifest) -> list[Stretch]:
    """The stretches of a table with the channels that have a score, less their origins."""
    chosen, origin = _columns(manifest)
    return series.stretches(replace(table, values=table.values[:, chosen]), origin.tolist(), manifest.window)


def _columns(manifest: Manifest) -> tuple[list[int], Doubles]:
    chosen = [at for at, channel in enumerate(manifest.channels) if channel.scored]
    return chosen, np.array([manifest.channels[at].origin for at in chosen])


def bounds(manifest: Manifest) -> tuple[int, int]:
    """The event times (ms) in which everything lies that a model was trained on."""
    return min(span.start for span in manifest.spans.values()), manifest.learnt_until
