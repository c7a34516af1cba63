"""Network: a backbone under an objective.

    rows -> tokens -> encoder -> numbers -> code -> one state a token -> decoder -> tokens -> rows

A backbone brings the encoder and the decoder between the tokens and the code; the objective says what a code is, and
what all of it is trained towards.

B windows, R rows, C channels, L tokens, H nodes, F features that an encoder gives, N numbers, K code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from streamae.config import Training
from streamae.training.autoencoders import Autoencoder, Shape
from streamae.training.autoencoders.tokens import Tokens, position, zero_linear
from streamae.training.objectives import objective
from streamae.training.objectives.objective import Batch
from streamae.training.views import FURTHEST


class Encoder(nn.Module):
    """States of all tokens [B, L, H] -> features [B, F]."""

    features: int


class Network(Autoencoder):
    """What all backbones share. Raises ConfigError where sizes, or the objective, make no sense together."""

    def __init__(self, shape: Shape, training: Training) -> None:
        super().__init__()
        self.objective = objective(training)
        self.objective.check(shape, training.code)
        self.restless = self.objective.restless
        self.code = training.code
        nodes, told = training.nodes, 2 if self.objective.told else 1
        self.tokens = self.cut(shape, training)
        self.take_in = nn.Linear(told * self.tokens.size, nodes[0])
        self.encoder = self.build_encoder(nodes, self.tokens.count, training)
        self.to_code = nn.Linear(self.encoder.features, self.objective.numbers * training.code)
        self.from_code = nn.Linear(training.code, nodes[-1])
        self.position = position(self.tokens.count, nodes[-1])
        self.decoder = self.build_decoder(nodes[::-1], training)
        self.give_out = zero_linear(nodes[0], self.tokens.size)
        self.conditions = list(shape.context) if self.objective.given_context else []
        if self.conditions:
            self.take_context = nn.Linear(self.tokens.rows * len(self.conditions), nodes[-1])

    def cut(self, shape: Shape, training: Training) -> Tokens:
        """How rows are cut into tokens."""
        return Tokens(shape, training.token)

    def build_encoder(self, nodes: Sequence[int], tokens: int, training: Training) -> Encoder:
        """Layers of so many nodes [H], for so many tokens."""
        raise NotImplementedError

    def build_decoder(self, nodes: Sequence[int], training: Training) -> nn.Module:
        """Layers of so many nodes: states [B, L, H of the first] -> [B, L, H of the last]."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> Tensor:
        """What training makes small: the objective's."""
        return self.objective.loss(self, batch)

    def facts(self, batch: Batch) -> dict[str, float]:
        """What is to be known of its code: the objective's."""
        return self.objective.facts(self, batch)

    def numbers(self, rows: Tensor, seen: Tensor) -> Tensor:
        """What the encoder gives [B, N] of rows [B, R, C], from which the objective makes a code."""
        tokens = self.tokens.cut(rows.clamp(-FURTHEST, FURTHEST))
        if self.objective.told:
            tokens = torch.cat([tokens, self.tokens.cut(seen.float())], dim=2)
        numbers: Tensor = self.to_code(self.encoder(self.take_in(tokens)))
        return numbers

    def encode(self, rows: Tensor, seen: Tensor) -> Tensor:
        """[B, R, C] -> [B, K]."""
        return self.objective.code(self.numbers(rows, seen))

    def context(self, rows: Tensor) -> Tensor | None:
        """What of rows [B, R, C] the decoder is given beside the code; None where that is nothing."""
        return rows[:, :, self.conditions] if self.conditions else None

    def decode(self, code: Tensor, context: Tensor | None = None) -> Tensor:
        """[B, K] and the context [B, R, C of it] -> [B, R, C]."""
        states = self.from_code(code).unsqueeze(1) + self.position  # [B, L, H]
        if context is not None:
            states = states + self.take_context(self.tokens.cut(context.clamp(-FURTHEST, FURTHEST)))
        return self.tokens.join(self.give_out(self.decoder(states)))

    def forward(self, rows: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [B, R, C] and which cells were observed -> what is expected in their place, and the code [B, K]."""
        code = self.encode(rows, seen)
        return self.decode(code, self.context(rows)), code
