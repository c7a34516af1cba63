"""Small networks under an objective, and windows that they have not seen."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from streamae.config import Training
from streamae.config.objectives import Objective, ObjectiveName
from streamae.training.autoencoders import Shape, autoencoder
from streamae.training.autoencoders.network import Network
from streamae.training.fitting import fit
from streamae.training.objectives.objective import Batch
from streamae.training.series import Stretch
from tests.training.synthetic import waves, windows_of

BACKBONES = ("dense", "conv", "lstm", "transformer")
LENGTH = 16  # of windows: their views are all of it, and its newest 8 ticks
ROWS = 24
SMALL = {"dropout": 0.0, "rank": 2, "code": 3, "learning_rate": 4e-3, "steps": 400, "patience": 12}


def training(objective: Objective | ObjectiveName, backbone: str = "dense", **others: Any) -> Training:
    return Training(autoencoder=backbone, objective=objective, **{**SMALL, **others})


def untrained(given: Training, channels: int = 2, context: tuple[int, ...] = ()) -> Network:
    """With weights at random in all layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = autoencoder(given.autoencoder)(Shape(ROWS, channels, context), given)
        assert isinstance(built, Network)
        torch.nn.init.normal_(built.give_out.weight, std=0.3)
    return built.eval()


def learnt(given: Training, normal: Stretch, later: Stretch, scored: tuple[float, ...] = (1.0, 1.0)) -> Network:
    """Fitted on what is normal, and stopped by what came later."""
    fitted = fit(windows_of(normal, later, LENGTH), torch.tensor(scored), given)
    return cast(Network, fitted.graph.parts[-1])


@cache
def learnt_by(objective: Objective | ObjectiveName, backbone: str = "dense", **others: Any) -> Network:
    """The same on waves, once for all tests of a process."""
    return learnt(training(objective, backbone, **others), waves(), waves(500, seed=1))


def unseen(stretch: Stretch | None = None) -> Batch:
    """Windows that nothing was fitted on."""
    stretch = stretch or waves(500, seed=2)
    windows = windows_of(stretch, stretch, LENGTH)
    scaled, observed = windows.scaled(windows.learn, windows.learn.spread(400))
    return Batch(scaled, observed, torch.ones(scaled.shape[2]), held_out=True)


def rebuilt(network: Network, rows: Tensor, seen: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        expected: Tensor = network(rows, torch.ones_like(rows, dtype=torch.bool) if seen is None else seen)[0]
    return expected


def codes(network: Network, rows: Tensor) -> Tensor:
    with torch.no_grad():
        return network.encode(rows, torch.ones_like(rows, dtype=torch.bool))


def error(network: Network, batch: Batch) -> float:
    return float(batch.error(rebuilt(network, batch.rows, batch.seen)))
