"""Sparse: the code is wide, but few of its units act."""

from __future__ import annotations

import pytest
import torch

from streamae.config.objectives import Sparse
from streamae.training.objectives.sparse import Sparse as Objective
from tests.training.objectives.learnt import codes, error, learnt_by, unseen

WIDE = 32


def test_by_divergence_the_mean_activation_of_units_reaches_the_target() -> None:
    sparse, plain = (learnt_by(Sparse(weight=weight, target=0.1), code=WIDE) for weight in (0.03, 0.0))
    active, usual = (codes(network, unseen().rows).mean(dim=0) for network in (sparse, plain))
    assert active.mean() == pytest.approx(0.1, abs=0.03)
    assert (active - 0.1).abs().mean() < 0.2 * (usual - 0.1).abs().mean()


def test_by_l1_most_units_are_at_rest() -> None:
    sparse, plain = (learnt_by(Sparse(by="l1", weight=weight), code=WIDE) for weight in (0.1, 0.0))
    share, usual = (float((codes(network, unseen().rows) < 1e-3).float().mean()) for network in (sparse, plain))
    assert share > 0.6 > usual


@pytest.mark.parametrize("sparse", [Sparse(weight=0.03, target=0.1), Sparse(by="l1", weight=0.1)])
def test_a_sparse_code_still_rebuilds(sparse: Sparse) -> None:
    assert error(learnt_by(sparse, code=WIDE), unseen()) < 0.1 * float(unseen().rows.square().mean())


def test_the_divergence_is_that_of_coins() -> None:
    code = torch.rand(50, 4, generator=torch.Generator().manual_seed(0))
    coins = [torch.distributions.Bernoulli(share) for share in (torch.full((4,), 0.2), code.mean(dim=0))]
    wanted = torch.distributions.kl_divergence(*coins).sum()
    torch.testing.assert_close(Objective(Sparse(target=0.2)).penalty(code), wanted)
