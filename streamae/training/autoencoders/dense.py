"""Dense autoencoder: every layer sees all of the window at once.

After Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks" (2006), without its
pretraining. B windows, H nodes; one token is the whole window.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from streamae.config import Training
from streamae.training.autoencoders import Shape
from streamae.training.autoencoders.network import Encoder, Network
from streamae.training.autoencoders.tokens import Tokens, activation


class Dense(Network):
    """One layer for each size, mirrored in the decoder."""

    def cut(self, shape: Shape, training: Training) -> Tokens:
        """Not at all."""
        return Tokens(shape, shape.rows)

    def build_encoder(self, nodes: Sequence[int], tokens: int, training: Training) -> Encoder:
        """One layer after another."""
        return Reader(nodes, training)

    def build_decoder(self, nodes: Sequence[int], training: Training) -> nn.Module:
        """The same backwards."""
        return _layers(nodes, training)


class Reader(Encoder):
    """[B, 1, H] -> [B, H of the last layer]."""

    def __init__(self, nodes: Sequence[int], training: Training) -> None:
        super().__init__()
        self.layers = _layers(nodes, training)
        self.features = nodes[-1]

    def forward(self, states: Tensor) -> Tensor:
        """What the last layer gives."""
        features: Tensor = self.layers(states).flatten(1)
        return features


def _layers(nodes: Sequence[int], training: Training) -> nn.Sequential:
    """What the layer before gave is activated first; a first layer lies before these, or a code."""
    layers: list[nn.Module] = [activation(training.activation), nn.Dropout(training.dropout)]
    for inputs, outputs in pairwise(nodes):
        layers += [nn.Linear(inputs, outputs), activation(training.activation), nn.Dropout(training.dropout)]
    return nn.Sequential(*layers)
