"""Adversarial: a code that a discriminator cannot tell from standard normal numbers, so that it can be sampled.

    d:  min -log d(z) - log(1 - d(f(x))),  z ~ N(0, 1)
    L = |x - g(f(x))|^2 - w * log d(f(x))

Makhzani et al., "Adversarial Autoencoders" (2015), by the generator's loss that does not saturate. The discriminator is
no part of the graph. How far the code is from the prior is also measured without it, by the energy distance (Szekely
and Rizzo, "Energy Statistics", 2013), for it says when to stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from streamae.config import objectives
from streamae.training.objectives.objective import Batch, Objective

if TYPE_CHECKING:
    from streamae.training.autoencoders.network import Network

LEARNING_RATE = 1e-3
SEED = 0  # of the sample that codes of held-out windows are compared with


class Adversarial(Objective):
    """Rebuilds by way of a code that is distributed like the prior."""

    generates = True
    restless = 0.5  # the code first has to come to where the discriminator wants it

    def __init__(self, parameters: objectives.Adversarial) -> None:
        self._weight = parameters.weight
        nodes = parameters.nodes
        self._discriminator = nn.Sequential(
            nn.LazyLinear(nodes), nn.LeakyReLU(0.2), nn.Linear(nodes, nodes), nn.LeakyReLU(0.2), nn.Linear(nodes, 1)
        )
        self._optimizer: torch.optim.Optimizer | None = None

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The error of the batch, and how well its code is told from the prior; a step of the discriminator before."""
        expected, code = network(batch.rows, batch.seen)
        if batch.held_out:
            return batch.error(expected) + self._weight * from_prior(code)
        self._discriminate(code.detach())
        fooled = self._discriminator(code)
        return batch.error(expected) + self._weight * cross_entropy(fooled, torch.ones_like(fooled))

    def facts(self, network: Network, batch: Batch) -> dict[str, float]:
        """How far the code is from the prior."""
        return {"energy_distance": float(from_prior(network.encode(batch.rows, batch.seen)))}

    def _discriminate(self, code: Tensor) -> None:
        both = torch.cat([torch.randn_like(code), code])
        truth = (torch.arange(len(both)) < len(code)).float().unsqueeze(1)
        loss = cross_entropy(self._discriminator(both), truth)
        if self._optimizer is None:  # only now are there weights
            self._optimizer = torch.optim.Adam(self._discriminator.parameters(), LEARNING_RATE, betas=(0.5, 0.999))
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()


def from_prior(code: Tensor) -> Tensor:
    """The energy distance between codes [N, K] and as many samples of the prior, the same ones every time."""
    return energy_distance(code, torch.randn(code.shape, generator=torch.Generator().manual_seed(SEED)))


def energy_distance(one: Tensor, other: Tensor) -> Tensor:
    """Of two samples [N, K], [M, K]: 0 where their distributions are the same."""
    between, within, inside = torch.cdist(one, other), torch.cdist(one, one), torch.cdist(other, other)
    return 2 * between.mean() - within.mean() - inside.mean()
