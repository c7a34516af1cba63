"""The autoencoders by name, and what one has to be.

An autoencoder sees what the linear skip could not rebuild of a window and rebuilds what it can of that. Its output
layer starts at zero, so that training starts exactly at PCA. Further ones come from installed packages, as entry
points of the group `streamae.autoencoders`: a function of a Shape and the config's Training section.

B windows, T ticks, C channels, K numbers in a code.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import NamedTuple

from torch import Tensor, nn

from streamae.config import Training
from streamae.errors import ConfigError

GROUP = "streamae.autoencoders"


class Shape(NamedTuple):
    """The shape of a window: T ticks, C channels."""

    length: int
    channels: int


class Autoencoder(nn.Module):
    """Rebuilds scaled residual windows [B, T, C] by way of a small code [B, K]."""

    def encode(self, residual: Tensor) -> Tensor:
        """Windows [B, T, C] -> code [B, K]."""
        raise NotImplementedError

    def decode(self, code: Tensor) -> Tensor:
        """Code [B, K] -> windows [B, T, C]; all zero before training."""
        raise NotImplementedError


Build = Callable[[Shape, Training], Autoencoder]


def autoencoder(name: str) -> Build:
    """The function that builds the autoencoder called `name`. Raises ConfigError that lists the known ones."""
    from streamae.training.autoencoders.lstm import Lstm
    from streamae.training.autoencoders.skip import Nothing
    from streamae.training.autoencoders.transformer import Transformer

    known: dict[str, Build] = {"lstm": Lstm, "transformer": Transformer, "pca": Nothing}
    if name in known:
        return known[name]
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name not in installed:
        names = ", ".join(sorted({*known, *installed}))
        raise ConfigError(f"$.training.autoencoder: there is no autoencoder `{name}`; known: {names}")
    build: Build = installed[name].load()
    return build
