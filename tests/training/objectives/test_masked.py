"""Masked: what is hidden, from what is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamae.config.objectives import Masked
from streamae.training.autoencoders.network import Network
from streamae.training.objectives.masked import Masked as Objective
from streamae.training.views import look
from tests.training.objectives.learnt import error, learnt_by, rebuilt, training, unseen, untrained


def hidden(of: str) -> Tensor:
    """What is hidden of each unseen window."""
    draw = torch.Generator().manual_seed(3)
    return Objective(Masked(share=0.3, hides=(of,))).hide(unseen().windows, draw)  # type: ignore[arg-type]


def off(network: Network, of: str) -> float:
    """Mean square error of rows that are hidden whole."""
    batch, left = unseen(), ~hidden(of)
    rows, seen = look(batch.windows * left, left)
    return float((rebuilt(network, rows, seen) - batch.rows)[~seen].square().mean())


@pytest.mark.parametrize("of", ["ticks", "blocks", "channels"])
def test_what_is_hidden_is_filled_better_than_by_a_network_that_never_missed_anything(of: str) -> None:
    assert off(learnt_by("masked", steps=500), of) < 0.5 * off(learnt_by("undercomplete", steps=500), of)


def test_what_is_there_is_still_rebuilt() -> None:
    assert error(learnt_by("masked", steps=500), unseen()) < 0.25 * float(unseen().rows.square().mean())


def test_the_loss_is_that_of_what_is_hidden_alone() -> None:
    """What can be seen may be rebuilt however badly."""
    network = untrained(training(Masked(hides=("channels",), share=0.5)))
    batch = unseen()
    left = ~Objective(Masked(hides=("channels",), share=0.5)).hide(batch.windows, torch.Generator().manual_seed(0))
    rows, seen = look(batch.windows * left, left)
    wanted = torch.stack(
        [
            (rebuilt(network, rows, seen) - batch.rows)[:, view][~seen[:, view]].square().mean()
            for view in (slice(0, 16), slice(16, 24))
        ]
    ).mean()
    assert float(network.loss(batch).detach()) == pytest.approx(float(wanted), rel=1e-4)


def test_a_network_is_told_what_it_does_not_see() -> None:
    network, rows = untrained(training("masked")), torch.zeros(1, 24, 2)
    seen = torch.ones_like(rows, dtype=torch.bool)
    assert not torch.equal(rebuilt(network, rows, seen), rebuilt(network, rows, ~seen))
