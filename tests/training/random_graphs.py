"""Graphs with weights at random, as if they had been trained, and windows for them."""

from __future__ import annotations

from functools import cache

import msgspec
import torch
from torch import Tensor, nn

from streamae.config import Training
from streamae.training.autoencoders import Shape, autoencoder
from streamae.training.export import Exported, export
from streamae.training.fitting import parts
from streamae.training.graph import Graph
from streamae.training.views import look, places

CHANNELS = 3


def walks(windows: int, length: int, seed: int = 0) -> Tensor:
    """Windows [B, T, C], smooth and with noise."""
    draw = torch.Generator().manual_seed(seed)
    smooth: Tensor = torch.randn(windows, length, CHANNELS, generator=draw).cumsum(dim=1) / length**0.5
    return smooth + 0.1 * torch.randn(smooth.shape, generator=draw)


def graph_of(kind: str, length: int, seed: int = 0) -> Graph:
    """What a fitted graph of this kind could be: an autoencoder by name, with an objective behind it or without."""
    name, _, objective = kind.partition(" ")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        normal = walks(130, length, seed)
        rows, seen = look(normal, torch.ones_like(normal, dtype=torch.bool))
        asked = {"autoencoder": name, "objective": objective or "denoising", "hidden": (8,), "code": 4, "rank": 4}
        training = msgspec.convert({**asked, "context": ("c",)}, Training)
        built = autoencoder(name)(Shape(rows.shape[1], CHANNELS, (CHANNELS - 1,)), training)
        for weight in built.parameters() if built else []:
            nn.init.normal_(weight, std=0.3)
        found = parts(rows, seen, built, training, places(length))
        graph = Graph(found, length, torch.ones(CHANNELS)).eval()
        for units in (graph.unit, graph.settled_unit):
            units.copy_(0.1 + torch.rand(units.shape))
    return graph


@cache
def exported(kind: str, length: int, seed: int = 0) -> Exported:
    """Its export."""
    return export(graph_of(kind, length, seed), length)
