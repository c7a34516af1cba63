"""Denoising: the clean window from a corrupted one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from streamae.config.objectives import Denoising
from streamae.training.autoencoders.network import Network
from streamae.training.views import look
from tests.training.objectives.learnt import learnt_by, rebuilt, unseen

ROOMY = 24  # numbers of a code that could hold noise as well


def gain_db(network: Network, noise: float) -> float:
    """By how many decibels a rebuilt window is nearer to what it was than a noisy one."""
    rows = unseen().rows
    noisy = rows + noise * torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    left = (rebuilt(network, noisy) - rows).square().mean()
    return 10 * math.log10(float((noisy - rows).square().mean() / left))


def test_noise_that_it_has_not_seen_is_taken_away() -> None:
    """Also where the code has room for it, so that smallness alone would not."""
    denoising, plain = (learnt_by(Denoising(noise=noise), code=ROOMY) for noise in (0.5, 0.0))
    assert gain_db(denoising, 0.5) > 6
    assert gain_db(denoising, 0.5) > gain_db(plain, 0.5) + 1


@pytest.mark.parametrize("of", ["dropped", "blocked"])
def test_what_was_silenced_is_filled_in(of: str) -> None:
    batch = unseen()
    hidden = torch.zeros_like(batch.observed)
    if of == "dropped":
        hidden |= torch.rand(hidden.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    else:
        hidden[:, 5:10, 0] = True

    def off(network: Network) -> float:
        left = ~hidden
        rows, seen = look(batch.windows * left, left)
        found: Tensor = (rebuilt(network, rows, seen) - batch.rows)[~seen]
        return float(found.square().mean())

    trained = Denoising(noise=0.0, **{of: 0.3})
    assert off(learnt_by(trained, code=ROOMY)) < 0.5 * off(learnt_by(Denoising(noise=0.0), code=ROOMY))
