"""Rivals: the baselines, fitted, calibrated and judged beside an autoencoder by the same scoring.

They score as torch has them: exporting is most of what a baseline costs, and only what serves has to be exported.

B windows, T ticks, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from streamae.config import DEVIATION, LINEAR
from streamae.detection.artifact import Artifact
from streamae.detection.runtime import MICRO_BATCH
from streamae.detection.scoring import Errors, Scorer
from streamae.detection.uses import Uses
from streamae.training import gate
from streamae.training.building import Built, Rehearsed, rehearse, timed, unexported, with_grown_units
from streamae.training.fitting import Fitted, fit, reproducible
from streamae.training.gate import Anomalies, Duel
from streamae.training.graph import FullGraph, Graph
from streamae.training.material import Material
from streamae.training.series import Floats, Ints, Pool, within


@dataclass(frozen=True)
class Rival:
    """A baseline and what it came to."""

    name: str
    fitted: Fitted
    rehearsed: Rehearsed
    seconds: dict[str, float]
    duel: Duel | None = None  # the autoencoder beside it; None where there are too few windows for anomalies


class Unexported(Scorer):
    """Scores through the graph as torch has it."""

    def __init__(self, artifact: Artifact, graph: Graph) -> None:
        self.artifact, self.device, self.uses = artifact, "cpu", Uses(artifact, ())
        self._graph = FullGraph(graph).eval()

    def errors(self, windows: Floats, profile: Floats, micro_batch: int | None = None) -> Errors:
        """Errors of windows [B, T, C] under the profile [B, 3, C] of each one's series."""
        return Errors(*self._run(windows, profile)[:3])

    def reconstruct(self, windows: Floats, series: Sequence[str]) -> Floats:
        """What the model would have expected, [B, T, C], in raw units less the origin."""
        return self._run(windows, self.artifact.profiles.rows(series))[3]

    def _run(self, windows: Floats, profile: Floats) -> list[NDArray[np.float32]]:
        slices = [slice(at, at + MICRO_BATCH) for at in range(0, max(len(windows), 1), MICRO_BATCH)]
        with torch.no_grad():
            parts = [self._graph(torch.from_numpy(windows[one]), torch.from_numpy(profile[one])) for one in slices]
        return [torch.cat(one).numpy() for one in zip(*parts, strict=True)]


def rivals(material: Material, built: Built) -> list[Rival]:
    """The baselines that `training.baselines` names, beside the autoencoder that was built; none beside itself."""
    training = material.config.training
    with reproducible(training.seed):
        found = [_rival(material, name) for name in training.baselines if name != training.autoencoder]
        given = _anomalies(material)
        if given is None:
            return found
        own = gate.found(_errors(built.rehearsed.scorer), given)
        beside = [gate.found(_errors(one.rehearsed.scorer), given) for one in found]
        return [replace(one, duel=gate.duel(own, its, given.kinds)) for one, its in zip(found, beside, strict=True)]


def _rival(material: Material, name: str) -> Rival:
    training = material.config.training
    rank = 0 if name == DEVIATION else training.rank  # from the mean of each view: the linear part without components
    autoencoder = LINEAR if name == DEVIATION else name
    plain = msgspec.structs.replace(training, autoencoder=autoencoder, rank=rank, refit=False)
    seconds: dict[str, float] = {}
    with timed(seconds, "fit"):
        fitted = fit(material.fit, material.scored, plain)
        profiles, _ = with_grown_units(fitted.graph, material)
    scorer = Unexported(unexported(material, plain, profiles), fitted.graph)
    return Rival(name, fitted, rehearse(scorer, material, plain, seconds), seconds)


def _anomalies(material: Material) -> Anomalies | None:
    """In windows of the judge span; where there is none, of the calibrate span."""
    span = material.spans.get("judge", material.spans["calibrate"])
    parts = within(material.everything, span, material.window, material.left_out)
    every = msgspec.structs.replace(material.window, stride=1)
    pool = Pool(parts, material.fit.profiles.series, every, material.config.episodes.min_observed)
    return gate.anomalies(pool, material.fit.profiles, material.scored.numpy() > 0)


def _errors(scorer: Scorer) -> gate.Errors:
    def errors(windows: Floats, rows: Ints) -> Floats:
        return scorer.errors(windows, scorer.artifact.profiles.table[rows]).error

    return errors
