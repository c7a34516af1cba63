"""Transformer autoencoder: attention over the tokens on both sides of the code.

Pre-norm layers (Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020).
B windows, L tokens, H nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from streamae.config import Training
from streamae.errors import ConfigError
from streamae.training.autoencoders import Shape
from streamae.training.autoencoders.network import Encoder, Network
from streamae.training.autoencoders.tokens import activation, position


class Transformer(Network):
    """One layer for each size, mirrored in the decoder. Raises ConfigError where heads do not divide a size."""

    def __init__(self, shape: Shape, training: Training) -> None:
        if any(size % training.heads for size in training.nodes):
            raise ConfigError(
                f"$.training.heads: {training.heads} heads do not divide hidden = {list(training.nodes)}; "
                "choose hidden sizes that are multiples of heads"
            )
        super().__init__(shape, training)

    def build_encoder(self, nodes: Sequence[int], tokens: int, training: Training) -> Encoder:
        """Attention between all tokens; the states of all are features."""
        return Attention(nodes, tokens, training)

    def build_decoder(self, nodes: Sequence[int], training: Training) -> nn.Module:
        """The same backwards."""
        return _layers(nodes, training)


class Attention(Encoder):
    """Layers over tokens that know their place: [B, L, H] -> [B, L * H]."""

    def __init__(self, nodes: Sequence[int], tokens: int, training: Training) -> None:
        super().__init__()
        self.position = position(tokens, nodes[0])
        self.layers = _layers(nodes, training)
        self.features = tokens * nodes[-1]

    def forward(self, states: Tensor) -> Tensor:
        """The states of all tokens, end to end."""
        features: Tensor = self.layers(states + self.position).flatten(1)
        return features


def _layers(nodes: Sequence[int], training: Training) -> nn.Sequential:
    layers: list[nn.Module] = []
    act = activation(training.activation)
    for size, before in zip(nodes, [nodes[0], *nodes], strict=False):
        if size != before:
            layers.append(nn.Linear(before, size))
        layers.append(
            nn.TransformerEncoderLayer(
                size, training.heads, 2 * size, training.dropout, act, batch_first=True, norm_first=True
            )
        )
    return nn.Sequential(*layers)
