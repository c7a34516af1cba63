"""A kind of autoencoder on a small fleet: by the path that every model takes, and what it costs.

N readings, C channels.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import streamae
from streamae.config.objectives import Sparse, named
from streamae.detection.artifact import Artifact
from streamae.detection.scoring import Scorer
from tests.accuracy.judging import Row, failure

BACKBONES = ("dense", "conv", "lstm", "transformer")
CONTEXT = "mode"
WIDE = 64  # numbers of a sparse code
WINDOWS, BATCH = 2048, 256  # that are scored to see what one costs


class Kind(NamedTuple):
    """An objective on a backbone."""

    backbone: str
    objective: str


def options(kind: Kind) -> dict[str, Any]:
    """Those of streamae.train that make it: the usual ones, and a wide code where that is what an objective is for."""
    wide = {"code": WIDE} if isinstance(named(kind.objective), Sparse) else {}  # type: ignore[arg-type]
    return {"objective": kind.objective, "baselines": (), **wide}


def fleet(ticks: int = 3000, machines: int = 2, seed: int = 0) -> pd.DataFrame:
    """Machines whose channels follow a wave, at a level that their mode decides."""
    rng = np.random.default_rng(seed)
    frames = []
    for machine in range(machines):
        mode = rng.choice([-1.0, 1.0], ticks // 100).repeat(100)
        phase = 2 * np.pi * np.arange(ticks) / 24 + np.cumsum(rng.normal(0, 0.05, ticks))
        values = {"flow": 2 * mode + np.sin(phase), "heat": np.cos(2 * phase), "load": np.sin(phase + mode)}
        noisy = {name: own + 0.05 * rng.normal(size=ticks) for name, own in values.items()}
        frame = pd.DataFrame({**noisy, CONTEXT: mode, "series": f"m{machine}"})
        frame["time"] = pd.date_range("2026-01-01", periods=ticks, freq="s", tz="UTC")
        frames.append(frame)
    return pd.concat(frames)


def measure(task: dict[str, Any]) -> Row:
    """What a kind comes to on the fleet; or its failure."""
    kind = Kind(**task)
    row: Row = {"task": task, "error": ""}
    try:
        began = time.process_time()
        artifact = streamae.train(fleet(), kind.backbone, context=(CONTEXT,), refit=False, **options(kind))
        return row | {"train_cpu_s": time.process_time() - began, **_measured(artifact)}
    except Exception as error:  # one kind must not hide the others
        return row | failure(error)


def _measured(artifact: Artifact) -> Row:
    report, parity = artifact.manifest.report, artifact.manifest.parity
    objective = report["objective"]
    usual = {"name", "code", "error", "pca_error", *named(objective["name"]).__struct_fields__}
    return {
        "weights": report["parameters"],
        "fit_s": report["seconds"]["fit"],
        "export_s": report["seconds"]["export"],
        "model_kb": len(artifact.model) / 1024,
        "full_kb": len(artifact.full) / 1024,
        "parity": max(proof.relative_difference for proof in parity),
        "batches": [proof.batch for proof in parity],
        "us_per_window": _us_per_window(artifact),
        "rebuilt": objective["error"],
        "pca": objective["pca_error"],
        "steps": report["best_step"],
        "code": {name: value for name, value in objective.items() if name not in usual},
    }


def _us_per_window(artifact: Artifact) -> float:
    """CPU of ONNX Runtime on one thread."""
    scorer = Scorer(artifact)
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(WINDOWS, artifact.manifest.window.length, len(artifact.manifest.channels)))
    given, profile = windows.astype(np.float32), np.repeat(artifact.profiles.table[:1], WINDOWS, axis=0)
    scorer.errors(given[:BATCH], profile[:BATCH], micro_batch=BATCH)
    began = time.process_time()
    scorer.errors(given, profile, micro_batch=BATCH)
    return (time.process_time() - began) / WINDOWS * 1e6
