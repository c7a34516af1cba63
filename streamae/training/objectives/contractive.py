"""Contractive: a code that moves little when the window moves a little.

    L = |x - g(f(x))|^2 + w * mean |J_f(x)|_F^2      J_f = df / dx

Rifai et al., "Contractive Auto-Encoders: Explicit Invariance During Feature Extraction" (2011), eq. 7. The norm is
exact, by one gradient a number of the code. Training differentiates it once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from streamae.config import objectives
from streamae.training.objectives.objective import Batch, Objective

if TYPE_CHECKING:
    from streamae.training.autoencoders.network import Network


class Contractive(Objective):
    """Rebuilds by way of a code that small changes leave where it is."""

    def __init__(self, parameters: objectives.Contractive) -> None:
        self._weight = parameters.weight

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The error of the batch, and how much its code moves with it."""
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # the only attention that can be differentiated twice
            rows = batch.rows.detach().requires_grad_()
            expected, code = network(rows, batch.seen)
            return batch.error(expected) + self._weight * squared_jacobian(code, rows).mean()

    def facts(self, network: Network, batch: Batch) -> dict[str, float]:
        """How far a code moves with a window: the root mean square of the Jacobian's norm."""
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            rows = batch.rows.detach().requires_grad_()
            squared = squared_jacobian(network.encode(rows, batch.seen), rows)
        return {"jacobian": float(squared.mean().sqrt())}


def squared_jacobian(code: Tensor, rows: Tensor) -> Tensor:
    """The squared Frobenius norm of d code [B, K] / d rows [B, R, C], of each window: [B]."""
    gradients = (torch.autograd.grad(one.sum(), rows, create_graph=True)[0] for one in code.unbind(dim=1))
    return torch.stack([one.square().sum(dim=(1, 2)) for one in gradients]).sum(dim=0)
