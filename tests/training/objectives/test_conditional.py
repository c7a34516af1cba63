"""Conditional: what is generated obeys the context."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from streamae.config import Training
from streamae.training.autoencoders.network import Network
from tests.training.objectives.learnt import BACKBONES, ROWS, learnt, training, untrained
from tests.training.synthetic import modes

LEVEL = 2.0  # of the first channel, by mode


@cache
def by_mode() -> Network:
    return learnt(training("conditional", context=("mode",)), modes(), modes(800, seed=1), scored=(1.0, 1.0, 0.0))


@pytest.mark.parametrize("mode", [-1.0, 1.0])
def test_generated_windows_obey_the_condition(mode: float) -> None:
    code = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    network = by_mode()
    with torch.no_grad():
        rows = network.decode(code, torch.full((200, ROWS, 1), mode))
    levels = rows[:, :, 0].mean(dim=1)
    assert levels.mean() == pytest.approx(LEVEL * mode, abs=0.3)
    assert ((levels - LEVEL * mode).abs() < LEVEL).float().mean() > 0.97


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_decoder_is_given_the_context_and_nothing_else_of_the_window(backbone: str) -> None:
    network = untrained(training("conditional", backbone, hidden=(8,), context=("mode",)), channels=3, context=(2,))
    rows = torch.randn(4, ROWS, 3)
    context = network.context(rows)
    assert context is not None
    assert torch.equal(context, rows[:, :, [2]])
    code = torch.zeros(4, 3)
    assert not torch.equal(network.decode(code, context), network.decode(code, -context))


def test_without_context_it_is_refused() -> None:
    with pytest.raises(ValueError, match="channels that context and modes name, and the calendar, and there is none"):
        Training(objective="conditional")
