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
from streamae.detection.repairing import Floats
from streamae.detection.runtime import BUCKET
from streamae.detection.scoring import Scorer
from tests.accuracy.judging import Row, failure

BACKBONES = ("dense", "conv", "lstm", "transformer")
CONTEXT = "mode"
WIDE = 64  # numbers of a sparse code
WINDOWS, BATCH = 2048, 256  # that are scored to see what one costs
ON_GPU = 32 * BUCKET  # the same on a GPU


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
    """What a kind comes to on the fleet, also on a GPU where that is asked for; or its failure."""
    kind = Kind(task["backbone"], task["objective"])
    row: Row = {"task": task, "error": ""}
    try:
        began = time.process_time()
        artifact = streamae.train(fleet(), kind.backbone, context=(CONTEXT,), refit=False, **options(kind))
        row |= {"train_cpu_s": time.process_time() - began, **_measured(artifact)}
        return row | _on_gpu(artifact) if task.get("device") == "cuda" else row
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
    given, profile = _windows(artifact, WINDOWS)
    scorer.errors(given[:BATCH], profile[:BATCH], micro_batch=BATCH)
    began = time.process_time()
    scorer.errors(given, profile, micro_batch=BATCH)
    return (time.process_time() - began) / WINDOWS * 1e6


def _on_gpu(artifact: Artifact) -> Row:
    """That a GPU gives what the CPU does, a window to the same bits whatever is beside it, and how soon."""
    on_gpu = Scorer(artifact, "cuda", ["embed", "clean"])
    on_gpu.prove()
    given, profile = _windows(artifact, WINDOWS)
    here, there = on_gpu.errors(given, profile), Scorer(artifact).errors(given, profile)
    given, profile = (np.resize(one, (ON_GPU, *one.shape[1:])) for one in (given, profile))
    began = time.perf_counter()
    on_gpu.errors(given, profile)
    return {
        "gpu_parity": float(np.max(np.abs(here.error / there.error - 1))),
        "gpu_us_per_window": (time.perf_counter() - began) / ON_GPU * 1e6,
    }


def _windows(artifact: Artifact, count: int) -> tuple[Floats, Floats]:
    """Noise [B, T, C], and a profile [B, 3, C] for it."""
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(count, artifact.manifest.window.length, len(artifact.manifest.channels)))
    return windows.astype(np.float32), np.repeat(artifact.profiles.table[:1], count, axis=0)
