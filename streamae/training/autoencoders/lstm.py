"""LSTM autoencoder: reads the tokens into its last state, and unrolls the window from the code.

After Malhotra et al., "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection" (2016), on tokens of several
rows and with the code repeated as the decoder's input. B windows, L tokens, H nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from streamae.config import Training
from streamae.training.autoencoders.network import Encoder, Network


class Lstm(Network):
    """One LSTM for each layer, mirrored in the decoder."""

    def build_encoder(self, nodes: Sequence[int], tokens: int, training: Training) -> Encoder:
        """One LSTM after another."""
        return Reader([nodes[0], *nodes], training.dropout)

    def build_decoder(self, nodes: Sequence[int], training: Training) -> nn.Module:
        """The same backwards."""
        return Layers([nodes[0], *nodes], training.dropout)


class Layers(nn.Module):
    """LSTMs of several sizes, one after another: [B, L, H] -> [B, L, H]."""

    def __init__(self, sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.LSTM(inputs, outputs, batch_first=True) for inputs, outputs in pairwise(sizes))
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """The states of the last of them."""
        for layer in self.layers:
            states, _ = layer(self.dropout(states))
        return states


class Reader(Encoder):
    """Of the last LSTM, its last state: [B, L, H] -> [B, H]."""

    def __init__(self, sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.layers = Layers(sizes, dropout)
        self.features = sizes[-1]

    def forward(self, states: Tensor) -> Tensor:
        """What is left when all has been read."""
        last: Tensor = self.layers(states)[:, -1]
        return last
