"""Job: stored readings -> an artifact.

series -> split by time (fit | calibrate | judge) -> profiles -> fit -> export -> thresholds through the exported
graph on calibrate -> judged by the code that serves -> parity, golden windows -> baselines beside it -> gate -> report
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pandas as pd

from streamae.config import LINEAR, Config
from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Manifest
from streamae.training import files, report
from streamae.training.building import build
from streamae.training.files import Table
from streamae.training.fitting import Progress
from streamae.training.history import Gathered, gather
from streamae.training.material import prepare
from streamae.training.rivals import Rival, rivals
from streamae.training.series import LeftOut


def train(
    config: Config,
    readings: pd.DataFrame | Table | Gathered | None = None,
    *,
    left_out: Sequence[LeftOut] = (),
    parent: Manifest | None = None,
    progress: Progress | None = None,
) -> Artifact:
    """Train the model that `config` describes; what comes back has no version until it is registered.

    `readings` is a frame or a table as files.py takes it, or what was gathered; without any, what the config names is
    gathered. `left_out` are further times that are not normal: they are neither fitted nor calibrated on. A parent's
    origins are kept, so that its child can take over its windows. Raises DataError, ConfigError, ExportRefused, and
    TopicsError where the topic is to be read.
    """
    training, gathered = config.training, _gathered(config, readings)
    material = prepare(config, gathered.table, (*gathered.left_out, *left_out), parent)
    material = replace(material, notes=(*gathered.notes, *material.notes))
    built = build(material, training, progress)
    beside = rivals(material, built)
    facts = report.facts(material, built, beside)
    if training.gate == "serve_baseline" and not worth(training.autoencoder, beside):
        built = build(material, msgspec.structs.replace(training, autoencoder=LINEAR))
        facts["served"] = LINEAR
    version = parent.version if parent else None
    manifest = msgspec.structs.replace(built.artifact.manifest, parent=version, report=facts)
    return replace(built.artifact, manifest=manifest)


def worth(autoencoder: str, beside: Sequence[Rival]) -> bool:
    """Whether an autoencoder is to serve: it is the linear baseline itself, or clearly better than that."""
    duels = [one.duel for one in beside if one.name == LINEAR and one.duel]
    return autoencoder == LINEAR or any(duel.better for duel in duels)


def _gathered(config: Config, readings: pd.DataFrame | Table | Gathered | None) -> Gathered:
    if readings is None:
        return gather(config)
    if isinstance(readings, Gathered):
        return readings
    if isinstance(readings, Table):
        return Gathered(readings)
    return Gathered(files.table(readings, list(config.readings.channels)))
