"""Convolutional autoencoder: what is near in time is looked at together, over ever longer times.

The encoder halves time at each layer; the decoder gives every tick the code and its place, and convolves (Watters et
al., "Spatial Broadcast Decoder", 2019). A token is one row. B windows, L tokens, H nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from streamae.config import Training
from streamae.training.autoencoders import Shape
from streamae.training.autoencoders.network import Encoder, Network
from streamae.training.autoencoders.tokens import Tokens, activation

KERNEL = 5  # rows


class Conv(Network):
    """One convolution for each size, mirrored in the decoder."""

    def cut(self, shape: Shape, training: Training) -> Tokens:
        """Row by row."""
        return Tokens(shape, 1)

    def build_encoder(self, nodes: Sequence[int], tokens: int, training: Training) -> Encoder:
        """Convolutions that halve time."""
        return Reader(nodes, tokens, training)

    def build_decoder(self, nodes: Sequence[int], training: Training) -> nn.Module:
        """Convolutions that leave time as it is."""
        return Over(_layers(nodes, 1, training))


class Over(nn.Module):
    """Layers over time, which torch has last: [B, L, H] -> [B, L, H]."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, states: Tensor) -> Tensor:
        """What the last layer gives, of all times."""
        given: Tensor = self.layers(states.mT).mT
        return given


class Reader(Encoder):
    """[B, L, H] -> [B, F]."""

    def __init__(self, nodes: Sequence[int], tokens: int, training: Training) -> None:
        super().__init__()
        self.layers = Over(_layers(nodes, 2, training))
        for _ in nodes:
            tokens = -(-tokens // 2)
        self.features = tokens * nodes[-1]

    def forward(self, states: Tensor) -> Tensor:
        """What the last layer gives, end to end."""
        features: Tensor = self.layers(states).flatten(1)
        return features


def _layers(nodes: Sequence[int], stride: int, training: Training) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip([nodes[0], *nodes], nodes, strict=False):
        layers += [
            activation(training.activation),
            nn.Dropout(training.dropout),
            nn.Conv1d(inputs, outputs, KERNEL, stride, KERNEL // 2),
        ]
    return nn.Sequential(*layers, activation(training.activation))
