"""Memory: the normal windows whose shape is most like that of this one. It has no weights to train.

A shape is what is left of a view when the level of each channel in it is taken away: where a level has moved for good,
as levels do, shapes are still those that were learnt. They are compared by their coordinates in PCA of normal shapes,
so that noise has little say, and thousands of them cost less than a few dozen that are compared cell by cell. It stands
beside PCA, which does see levels, and beside every network.

After Gong et al., "Memorizing Normality to Detect Anomaly: Memory-augmented Deep Autoencoder" (2019), but for what is
remembered: windows as they were, of which the nearest count.

B windows, V views, R rows of all views, C channels, K components, N windows that are remembered, M to learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from streamae.config import LINEAR, Training
from streamae.training.autoencoders import Autoencoder, Shape
from streamae.training.autoencoders.linear import fit_linear
from streamae.training.autoencoders.nearest import on_grid, shares
from streamae.training.series import evenly

REMEMBERED = 2_000
NEIGHBOURS = 3
FURTHEST = 2.0**11  # of coordinates: distances in up to 680 of them are exact, as in nearest.py
NOWHERE = 4 * FURTHEST  # further from everything than what is remembered is


class Memory(Autoencoder):
    """Expects the level that a window has itself, and the mean of the remembered shapes that are nearest."""

    beside: ClassVar[tuple[str, ...]] = (LINEAR,)
    say: float = 1.0
    views: Tensor  # [V, R] 1 for the rows of each view
    remembered: Tensor  # [N, V * K] coordinates; where there are fewer windows, the rest is nowhere

    def __init__(self, shape: Shape, training: Training) -> None:
        super().__init__()
        self.rank = training.rank
        self.linear = fit_linear(torch.zeros(1, shape.rows, shape.channels), self.rank, [slice(0, shape.rows)])
        self.register_buffer("views", torch.ones(1, shape.rows, dtype=torch.float64))
        self.register_buffer("remembered", torch.zeros(1, max(self.rank, 1)))

    def learn(self, rows: Tensor, seen: Tensor, places: Sequence[slice]) -> None:
        """Remember some of the windows [M, R, C], evenly over all; of fewer than three, their mean shape alone."""
        at = torch.arange(rows.shape[1])
        self.views = torch.stack([(at >= place.start) & (at < place.stop) for place in places]).double()
        shapes, _ = self._split(rows, seen)
        self.linear = fit_linear(shapes, self.rank, places)
        chosen = evenly(len(rows), REMEMBERED)
        _, known = self.linear(shapes[chosen], seen[chosen])
        self.remembered = functional.pad(known, (0, 0, 0, REMEMBERED - len(known)), value=NOWHERE)

    def forward(self, rows: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [B, R, C] and which cells were observed -> what is expected in their place; where its shape is."""
        shapes, levels = self._split(rows, seen)
        _, coordinates = self.linear(shapes, seen)
        place, known = on_grid(coordinates, FURTHEST), on_grid(self.remembered, NOWHERE)
        distances = known.square().sum(dim=1) - 2 * place @ known.T  # less what is the same for all
        shape = self.linear.at(shares(distances, NEIGHBOURS) @ self.remembered.double())
        return shape + levels, coordinates

    def _split(self, rows: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes and levels [B, R, C], in float64 up to their last bit: what is nearest must not hang on rounding."""
        there = seen.double()
        means = (self.views @ (rows * there)) / (self.views @ there).clamp_min(1)  # [B, V, C]
        levels = self.views.T @ means
        return ((rows - levels) * there).float(), levels.float()
