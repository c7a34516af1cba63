"""A small simulated plant with a model trained on it, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import torch

from streamae import config as configs
from streamae.config import Config
from streamae.detection.artifact import Artifact
from streamae.registry import Registry
from streamae.simulation import Plant, SimulationSpec, config_text, simulate
from streamae.training import job

END_MS = 1_790_000_000_000


@dataclass(frozen=True)
class World:
    """A plant's files, its model, and the config of its service."""

    plant: Plant
    folder: Path
    artifact: Artifact

    @property
    def path(self) -> Path:
        return self.folder / "streamae.toml"

    @property
    def config(self) -> Config:
        return configs.load(self.path)

    @property
    def files(self) -> list[str]:
        return [str(self.folder / f"{name}.parquet") for name in ("history", "live")]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("plant")
    spec = SimulationSpec(seed=3, end_ms=END_MS, series=3, history_days=8, live_days=4)
    plant = simulate(spec)
    (folder / "streamae.toml").write_text(config_text(spec, autoencoder="pca"), encoding="utf-8")
    plant.history.frame().to_parquet(folder / "history.parquet")
    plant.live.frame().to_parquet(folder / "live.parquet")
    (folder / "faults.json").write_bytes(msgspec.json.encode(plant.faults))
    config = configs.load(folder / "streamae.toml")
    registry = Registry(config.registry)
    artifact = registry.register(job.train(config))
    registry.promote(config.model, artifact.manifest.version, 0, "for the tests")
    return World(plant, folder, artifact)
