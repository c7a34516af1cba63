"""Transformer autoencoder: attention over the tokens on both sides of the code.

Pre-norm layers (Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020).
B windows, R rows, C channels, L tokens, K code, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from streamae.config import Training
from streamae.errors import ConfigError
from streamae.training.autoencoders import Autoencoder, Shape
from streamae.training.autoencoders.tokens import Tokens, position, zero_linear


class Transformer(Autoencoder):
    """One layer for each hidden size, mirrored in the decoder. Raises ConfigError where heads do not divide a size."""

    def __init__(self, shape: Shape, training: Training) -> None:
        super().__init__()
        hidden = training.hidden
        if any(size % training.heads for size in hidden):
            raise ConfigError(
                f"$.training.heads: {training.heads} heads do not divide hidden = {list(hidden)}; "
                "choose hidden sizes that are multiples of heads"
            )
        self.tokens = Tokens(shape, training.token)
        self.take_in = nn.Linear(self.tokens.size, hidden[0])
        self.position_in = position(self.tokens.count, hidden[0])
        self.encoder = _layers(hidden, training)
        self.to_code = nn.Linear(self.tokens.count * hidden[-1], training.code)
        self.from_code = nn.Linear(training.code, hidden[-1])
        self.position_out = position(self.tokens.count, hidden[-1])
        self.decoder = _layers(hidden[::-1], training)
        self.give_out = zero_linear(hidden[0], self.tokens.size)

    def encode(self, rows: Tensor, seen: Tensor) -> Tensor:
        """[B, R, C] -> [B, K]."""
        states = self.encoder(self.take_in(self.tokens.cut(rows)) + self.position_in)  # [B, L, H]
        code: Tensor = self.to_code(states.flatten(1))
        return code

    def decode(self, code: Tensor) -> Tensor:
        """[B, K] -> [B, R, C]."""
        states = self.from_code(code).unsqueeze(1) + self.position_out  # [B, L, H]
        return self.tokens.join(self.give_out(self.decoder(states)))


def _layers(hidden: Sequence[int], training: Training) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size, before in zip(hidden, [hidden[0], *hidden], strict=False):
        if size != before:
            layers.append(nn.Linear(before, size))
        layers.append(
            nn.TransformerEncoderLayer(
                size, training.heads, 2 * size, training.dropout, "gelu", batch_first=True, norm_first=True
            )
        )
    return nn.Sequential(*layers)
