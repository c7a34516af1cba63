"""Variational: a code that is a distribution, held near the standard normal one, so that it can be sampled.

    -ELBO = D / 2 log(|x - g(z)|^2 / D) + w * KL     z = m + s * e,  e ~ N(0, 1)
        KL = sum_k max(1/2 (m_k^2 + s_k^2 - log s_k^2 - 1), free)

Kingma and Welling, "Auto-Encoding Variational Bayes" (2014), eq. 10. The variance of what is rebuilt is not guessed but
the best one, which is the error (Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders", 2021).
The weight rises from 0 (Bowman et al., 2016), and each number may hold some bits for nothing (Kingma et al., "Improving
Variational Inference with Inverse Autoregressive Flow", 2016, eq. 15): both keep the code from being left unused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from streamae.config import objectives
from streamae.training.objectives.objective import Batch, Objective

if TYPE_CHECKING:
    from streamae.training.autoencoders.network import Network

FURTHEST_LOG = 10.0  # of a variance
ACTIVE = 0.01  # variance of a mean from which on it says something
SMALLEST = 1e-8  # error: its logarithm must stay finite


class Variational(Objective):
    """Rebuilds by way of a sample of its code."""

    generates = True
    numbers = 2

    def __init__(self, parameters: objectives.Variational) -> None:
        self._weight, self._warm_up = parameters.weight, parameters.warm_up
        self._free = parameters.free_bits

    def code(self, numbers: Tensor) -> Tensor:
        """The mean of the distribution [B, K]."""
        mean, _ = numbers.chunk(2, dim=1)
        return mean

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The negative ELBO of a cell; of what is held out, by way of the mean and at full weight."""
        rows = batch.rows
        mean, log = network.numbers(rows, batch.seen).chunk(2, dim=1)
        log = log.clamp(-FURTHEST_LOG, FURTHEST_LOG)
        code = mean if batch.held_out else mean + (log / 2).exp() * torch.randn_like(mean)
        error = batch.error(network.decode(code, network.context(rows)))
        warm = min(batch.progress / self._warm_up, 1.0) if self._warm_up else 1.0
        rest = self._weight * warm * self.divergence(mean, log) / (rows.shape[1] * batch.scored.sum())
        likelihood = error.clamp_min(SMALLEST).log()
        return (likelihood if batch.loss == "mae" else likelihood / 2) + rest

    def facts(self, network: Network, batch: Batch) -> dict[str, float]:
        """How many numbers of the code say something (Burda et al., "Importance Weighted Autoencoders", 2016)."""
        code = network.encode(batch.rows, batch.seen)
        return {"active_units": int((code.var(dim=0) > ACTIVE).sum()), "units": code.shape[1]}

    def divergence(self, mean: Tensor, log: Tensor) -> Tensor:
        """From the prior, of means and logarithms of variances [B, K]: in nats a window."""
        each = (mean.square() + log.exp() - log - 1) / 2
        return each.mean(dim=0).clamp_min(self._free).sum()
