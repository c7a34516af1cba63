"""LSTM autoencoder: reads the tokens into its last state, and unrolls the window from the code.

After Malhotra et al., "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection" (2016), on tokens of several
rows and with the code repeated as the decoder's input. B windows, R rows, C channels, L tokens, K code, H hidden.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from streamae.config import Training
from streamae.training.autoencoders import Autoencoder, Shape
from streamae.training.autoencoders.tokens import Tokens, position, zero_linear


class Lstm(Autoencoder):
    """One LSTM for each hidden size, mirrored in the decoder."""

    def __init__(self, shape: Shape, training: Training) -> None:
        super().__init__()
        hidden = training.hidden
        self.tokens = Tokens(shape, training.token)
        self.take_in = nn.Linear(self.tokens.size, hidden[0])
        self.encoder = _layers([hidden[0], *hidden])
        self.to_code = nn.Linear(hidden[-1], training.code)
        self.from_code = nn.Linear(training.code, hidden[-1])
        self.position = position(self.tokens.count, hidden[-1])
        self.decoder = _layers([hidden[-1], *reversed(hidden)])
        self.give_out = zero_linear(hidden[0], self.tokens.size)
        self.dropout = nn.Dropout(training.dropout)

    def encode(self, rows: Tensor, seen: Tensor) -> Tensor:
        """[B, R, C] -> [B, K]."""
        states = self.take_in(self.tokens.cut(rows))  # [B, L, H]
        for layer in self.encoder:
            states, _ = layer(self.dropout(states))
        code: Tensor = self.to_code(states[:, -1])
        return code

    def decode(self, code: Tensor) -> Tensor:
        """[B, K] -> [B, R, C]."""
        states = self.from_code(code).unsqueeze(1) + self.position  # [B, L, H]
        for layer in self.decoder:
            states, _ = layer(self.dropout(states))
        return self.tokens.join(self.give_out(states))


def _layers(sizes: list[int]) -> nn.ModuleList:
    return nn.ModuleList(nn.LSTM(inputs, outputs, batch_first=True) for inputs, outputs in pairwise(sizes))
