"""Contractive: the code moves little when the window does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamae.config.objectives import Contractive
from streamae.training.autoencoders.network import Network
from streamae.training.objectives.contractive import squared_jacobian
from tests.training.objectives.learnt import BACKBONES, codes, error, learnt_by, training, unseen, untrained

STEP = 1e-4


def jacobian_by_differences(network: Network, rows: Tensor) -> Tensor:
    """The squared norm of the Jacobian of each window [B], by central differences in every cell."""
    total = torch.zeros(len(rows), dtype=rows.dtype)
    for cell in range(rows[0].numel()):
        step = torch.zeros(rows[0].numel(), dtype=rows.dtype)
        step[cell] = STEP
        step = step.reshape(rows.shape[1:])
        total += ((codes(network, rows + step) - codes(network, rows - step)) / (2 * STEP)).square().sum(dim=1)
    return total


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_norm_is_that_of_the_encoders_jacobian(backbone: str) -> None:
    network = untrained(training("contractive", backbone, hidden=(8,))).double()
    rows = unseen().rows[:3].double().requires_grad_()
    found = squared_jacobian(network.encode(rows, torch.ones_like(rows, dtype=torch.bool)), rows)
    torch.testing.assert_close(found.detach(), jacobian_by_differences(network, rows.detach()), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_training_can_make_the_norm_smaller(backbone: str) -> None:
    """A step against the gradient of the whole loss, whose norm alone counts."""
    network = untrained(training(Contractive(weight=1e6), backbone, hidden=(8,)))
    before = network.loss(unseen())
    before.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        moved = [(weight, weight.grad) for weight in network.parameters() if weight.grad is not None]
        size = sum(float(gradient.square().sum()) for _, gradient in moved) ** 0.5
        for weight, gradient in moved:
            weight.sub_(1e-3 / size * gradient)
    assert network.loss(unseen()) < before


def test_a_code_moves_less_with_noise_and_still_rebuilds() -> None:
    rows = unseen().rows
    noisy = rows + 0.1 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))

    def moves(network: Network) -> float:
        return float((codes(network, noisy) - codes(network, rows)).square().sum(dim=1).mean())

    contractive, plain = learnt_by(Contractive(weight=0.01)), learnt_by("undercomplete")
    assert moves(contractive) < 0.5 * moves(plain)
    assert error(contractive, unseen()) < 2 * error(plain, unseen())
