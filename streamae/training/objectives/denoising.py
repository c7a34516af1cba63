"""Denoising: the clean window from a corrupted one.

    L = |x - g(f(c(x)))|^2      c: Gaussian noise, cells or blocks of ticks silenced

Vincent et al., "Stacked Denoising Autoencoders" (2010), section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from streamae.config import objectives
from streamae.training.objectives.hiding import blocks, cells
from streamae.training.objectives.objective import Batch, Objective
from streamae.training.views import look

if TYPE_CHECKING:
    from streamae.training.autoencoders.network import Network


class Denoising(Objective):
    """Rebuilds what was there before it was corrupted."""

    def __init__(self, parameters: objectives.Denoising) -> None:
        self._noise, self._dropped, self._blocked = parameters.noise, parameters.dropped, parameters.blocked

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The error of the batch as it was, rebuilt from what is left of it; of what is held out, from all of it."""
        given, seen = (batch.rows, batch.seen) if batch.held_out else self.corrupt(batch)
        return batch.error(network(given, seen)[0])

    def corrupt(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is left of a batch: rows [B, R, C], and which cells can be seen. Every view has its own noise."""
        rows, seen = batch.rows, batch.seen
        if self._dropped or self._blocked:
            share = torch.ones(len(rows), 1, 1)
            hidden = cells(batch.windows, self._dropped * share) | blocks(batch.windows, self._blocked * share)
            left = batch.observed & ~hidden
            rows, seen = look(batch.windows * left, left)
        return (rows + self._noise * torch.randn_like(rows) * seen if self._noise else rows), seen
