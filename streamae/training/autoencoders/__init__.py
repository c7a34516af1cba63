"""The autoencoders by name, and what one has to be.

An autoencoder sees what the linear skip could not rebuild of a window and rebuilds what it can of that. The output
layer of a network starts at zero, so that training starts exactly at PCA. Each is an entry point of the group
`streamae.autoencoders`, in this package or another: a function of a Shape and the config's Training section.

B windows, T ticks, C channels, K numbers in a code, M windows to learn from.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from streamae.config import AUTOENCODERS, Training


class Shape(NamedTuple):
    """The shape of a window: T ticks, C channels."""

    length: int
    channels: int


class Autoencoder(nn.Module):
    """Rebuilds scaled residual windows [B, T, C] by way of a code [B, K]."""

    on_skip: ClassVar[bool] = True  # whether the linear skip goes first; else only the mean window does

    def learn(self, residual: Tensor, observed: Tensor) -> None:
        """Take what is learnt without gradients from normal windows [M, T, C], before any step of training."""
        return

    def encode(self, residual: Tensor, observed: Tensor) -> Tensor:
        """Windows [B, T, C], 0 where silent, and which of their cells were observed -> code [B, K]."""
        raise NotImplementedError

    def decode(self, code: Tensor) -> Tensor:
        """Code [B, K] -> windows [B, T, C]; all zero before training."""
        raise NotImplementedError


Build = Callable[[Shape, Training], Autoencoder]


def autoencoder(name: str) -> Build:
    """The function that builds the autoencoder called `name`, which config has found to be installed."""
    (point,) = entry_points(group=AUTOENCODERS, name=name)
    build: Build = point.load()
    return build
