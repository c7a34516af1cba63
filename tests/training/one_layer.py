"""An autoencoder as an installed package could bring it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamae.config import Training
from streamae.training.autoencoders import Autoencoder, Shape


class OneLayer(Autoencoder):
    """One layer on each side of the code: what an installed package could bring."""

    def __init__(self, shape: Shape, training: Training) -> None:
        super().__init__()
        self.shape = shape
        cells = shape.rows * shape.channels
        self.shrink, self.grow = nn.Linear(cells, training.code), nn.Linear(training.code, cells)
        nn.init.zeros_(self.grow.weight)
        nn.init.zeros_(self.grow.bias)

    def encode(self, rows: Tensor, seen: Tensor) -> Tensor:
        code: Tensor = torch.tanh(self.shrink(rows.flatten(1)))
        return code

    def decode(self, code: Tensor) -> Tensor:
        rows: Tensor = self.grow(code).reshape(-1, self.shape.rows, self.shape.channels)
        return rows
