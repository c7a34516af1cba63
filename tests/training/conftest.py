"""A small fleet to train on, made once: two machines of three channels that move together, with noise and silence."""

from __future__ import annotations

import fcntl

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch

from streamae import config
from streamae.config import Config
from streamae.detection.artifact import Artifact
from streamae.training import files, job
from streamae.training.material import Material, prepare

CADENCE_MS = 1000
CHANNELS = ("level", "flow", "heat")
CONFIG = """
service = "plant"
model = "machines"
[topics]
store = "embedded:///plant.db"
readings = "readings"
[readings.channels]
level = "$.level"
flow = "$.flow"
heat = "$.heat"
[windows]
cadence_s = 1
length = 16
stride = 4
[training]
hidden = [12]
code = 4
rank = 4
steps = 200
learning_rate = 0.01
budget_per_week = 500.0
autoencoder = "NAME"
"""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def configured(name: str = "pca", more: str = "") -> Config:
    """The config of the small fleet; `more` are further lines of its last section, training."""
    return config.parse(CONFIG.replace("NAME", name) + more)


def fleet_frame(ticks: int = 4000, series: tuple[str, ...] = ("m1", "m2"), seed: int = 0) -> pd.DataFrame:
    """Readings of machines whose channels follow one load, at levels and with noise of their own."""
    rng = np.random.default_rng(seed)
    frames = []
    for at, name in enumerate(series):
        load = np.sin(np.arange(ticks) / 9 + at) + 0.3 * np.sin(np.arange(ticks) / 31)
        values = (1 + at) * np.stack([load, load**2, np.roll(load, 3)], axis=1) + 40 * at
        values += 0.1 * (1 + at) * rng.standard_normal(values.shape)
        values[rng.random(values.shape) < 0.01] = np.nan
        frame = pd.DataFrame(values, columns=list(CHANNELS))
        frame.insert(0, "time", np.arange(ticks, dtype=np.int64) * CADENCE_MS + 1_700_000_000_000)
        frame.insert(0, "series", name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return fleet_frame()


@pytest.fixture(scope="session")
def material(frame: pd.DataFrame) -> Material:
    return prepare(configured(), files.table(frame, CHANNELS))


@pytest.fixture(scope="session", params=["lstm", "transformer", "pca", "kmeans", "neighbours"])
def artifact(
    request: pytest.FixtureRequest, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Artifact:
    """What training gives; made once for all processes of a test run, for it takes long."""
    folder = tmp_path_factory.getbasetemp()
    shared = (folder if worker_id == "master" else folder.parent) / f"artifact-{request.param}"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = shared / "made"
        if not made.exists():
            torch.set_num_threads(1)
            made.write_bytes(msgspec.msgpack.encode(job.train(configured(request.param), frame).encode()))
        return Artifact.decode(msgspec.msgpack.decode(made.read_bytes(), type=dict[str, bytes]))
