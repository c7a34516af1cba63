"""What is published from a GPU: the same bits wherever the log is cut by restarts, and what a CPU publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

import streamae
from streamae.detection.artifact import Artifact
from streamae.detection.runtime import runtime
from tests.serving.stand import Stand

pytestmark = pytest.mark.skipif(
    "CUDAExecutionProvider" not in runtime().get_available_providers(),
    reason="no GPU here; tests/detection/test_cuda.py holds what can be held without",
)

LENGTH = 32
LOG: list[tuple[str, int, float | None]] = [
    (f"pump-{pump}", tick, float(np.sin(tick / 3 + pump))) for tick in range(400) for pump in range(5)
]


@pytest.fixture(scope="module")
def model() -> Artifact:
    wave = np.sin(np.arange(2000) / 3)
    time = pd.date_range("2026-01-01", periods=len(wave), freq="s", tz="UTC")
    frame = pd.DataFrame({"channel-0": wave, "channel-1": wave}, index=time)
    return streamae.train(frame, "lstm", steps=30, length=LENGTH, baselines=(), model="tiny")


def served(folder: Path, model: Artifact, device: str, restarts: int) -> tuple[Any, Any]:
    """Scores and embeddings of the log, served with so many restarts in between."""
    folder.mkdir()
    changes: dict[str, dict[str, Any]] = {
        "serving": {"device": device, "uses": ["embed"]},
        "windows": {"length": LENGTH, "stride": 4},
    }
    stand = Stand(f"embedded://{folder / 'topics.db'}", "plant", folder, partitions=1, changes=changes)
    stand.champion(model)
    size = -(-len(LOG) // (restarts + 1))
    for at in range(0, len(LOG), size):
        stand.publish(LOG[at : at + size])
        stand.serve_all()
    scores, codes = stand.scores(), sorted((key, value) for _, key, value in stand.read("embeddings"))
    stand.close()
    return scores, codes


def test_restarts_do_not_show_and_a_cpu_says_the_same(tmp_path: Path, model: Artifact) -> None:
    at_once, restarted, cpu = (
        served(tmp_path / name, model, device, restarts)
        for name, device, restarts in (("once", "cuda", 0), ("again", "cuda", 6), ("cpu", "cpu", 0))
    )
    assert len(at_once[0]) > 300
    assert at_once == restarted
    assert [row[:3] for row in at_once[0]] == [row[:3] for row in cpu[0]]
    np.testing.assert_allclose([row[3] for row in at_once[0]], [row[3] for row in cpu[0]], rtol=1e-4, atol=1e-6)
    codes, beside = ([msgspec.json.decode(value)["embedding"] for _, value in one[1]] for one in (at_once, cpu))
    np.testing.assert_allclose(codes, beside, atol=1e-5)
