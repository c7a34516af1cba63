"""Tokens: several rows as one step of a sequence. It shortens the way that a network has to look back.

B windows, R rows, C channels, L tokens, S rows a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamae.config.training import Activation
from streamae.training.autoencoders import Shape

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


class Tokens(nn.Module):
    """Cuts windows into tokens and joins them again; a window that they do not divide is padded at its old end."""

    def __init__(self, shape: Shape, rows: int) -> None:
        super().__init__()
        self.shape, self.rows = shape, rows
        self.count = -(-shape.rows // rows)  # L
        self.size = rows * shape.channels
        self._pad = self.count * rows - shape.rows

    def cut(self, windows: Tensor) -> Tensor:
        """[B, R, C] -> [B, L, S * C]; also of other numbers of channels."""
        size = self.rows * windows.shape[2]
        return functional.pad(windows, (0, 0, self._pad, 0)).reshape(-1, self.count, size)

    def join(self, tokens: Tensor) -> Tensor:
        """[B, L, S * C] -> [B, R, C]."""
        padded = tokens.reshape(-1, self._pad + self.shape.rows, self.shape.channels)
        return padded.narrow(1, self._pad, self.shape.rows)


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """An output layer that gives zero until it is trained."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def position(count: int, size: int) -> nn.Parameter:
    """A learnt place for each of `count` tokens: [count, size]."""
    return nn.Parameter(torch.randn(count, size) * size**-0.5)


def activation(name: Activation | None) -> nn.Module:
    """What stands between two layers; GELU (Hendrycks and Gimpel, 2016) where nothing else is asked for."""
    return ACTIVATIONS[name or "gelu"]()
