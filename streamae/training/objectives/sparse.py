"""Sparse: a code that may be wide, but of which few units act at a time.

    L = |x - g(f(x))|^2 + w * sum_j KL(t || a_j)    a_j: mean of unit j over the batch, in (0, 1); t: the target
        KL(t || a) = t log(t / a) + (1 - t) log((1 - t) / (1 - a))
    L = |x - g(f(x))|^2 + w * mean |f(x)|            units that are 0 or more

Ng, "Sparse Autoencoder" (2011), for the divergence; Goodfellow, Bengio and Courville, "Deep
Learning" (2016), section 14.2.1, for L1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from streamae.config import objectives
from streamae.training.objectives.objective import Batch, Objective

if TYPE_CHECKING:
    from streamae.training.autoencoders.network import Network

AT_REST = 1e-2  # activation of a unit that does nothing
LEAST = 1e-6  # of a mean activation: its logarithm must stay finite


class Sparse(Objective):
    """Rebuilds by way of few units."""

    def __init__(self, parameters: objectives.Sparse) -> None:
        self._by, self._weight, self._target = parameters.by, parameters.weight, parameters.target

    def code(self, numbers: Tensor) -> Tensor:
        """[B, K] in (0, 1), or 0 and more."""
        return numbers.sigmoid() if self._by == "kl" else numbers.relu()

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The error of the batch, and how far its code is from sparse."""
        expected, code = network(batch.rows, batch.seen)
        return batch.error(expected) + self._weight * self.penalty(code)

    def facts(self, network: Network, batch: Batch) -> dict[str, float]:
        """The mean activation of units, and the share that is at rest."""
        code = network.encode(batch.rows, batch.seen)
        return {"mean_activation": float(code.mean()), "at_rest": float((code < AT_REST).float().mean())}

    def penalty(self, code: Tensor) -> Tensor:
        """Of codes [B, K]: the divergence of mean activations from the target, or the mean activation itself."""
        if self._by == "l1":
            return code.abs().mean()
        active = code.mean(dim=0).clamp(LEAST, 1 - LEAST)
        target = torch.full_like(active, self._target)
        on, off = target * (target / active).log(), (1 - target) * ((1 - target) / (1 - active)).log()
        return (on + off).sum()
