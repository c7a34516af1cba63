"""What is hidden while a network is trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from streamae.training.objectives.hiding import blocks, cells, channels, ticks

WINDOWS = torch.zeros(500, 40, 6)
Hide = Callable[[Tensor, Tensor, Generator | None], Tensor]


def hide(by: Hide, share: float, windows: Tensor = WINDOWS) -> Tensor:
    return by(windows, torch.full((len(windows), 1, 1), share), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("by", [cells, ticks, blocks, channels])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_as_much_is_hidden_as_is_asked_for(by: Hide, share: float) -> None:
    assert hide(by, share).float().mean() == pytest.approx(share, abs=0.03)


def test_ticks_are_hidden_in_all_channels() -> None:
    hidden = hide(ticks, 0.4)
    assert torch.equal(hidden.any(dim=2), hidden.all(dim=2))


def test_channels_are_hidden_from_end_to_end() -> None:
    hidden = hide(channels, 0.4)
    assert torch.equal(hidden.any(dim=1), hidden.all(dim=1))


def test_blocks_are_in_one_piece_and_elsewhere_in_each_channel() -> None:
    hidden = hide(blocks, 0.25)
    assert (hidden.sum(dim=1) == 10).all()
    edges = (hidden[:, 1:] != hidden[:, :-1]).sum(dim=1)
    assert (edges <= 2).all()
    assert not torch.equal(hidden[:, :, 0], hidden[:, :, 1])
    assert hidden.any(dim=0).all()  # everywhere at times, also at both ends


def test_of_a_single_channel_a_block_is_hidden() -> None:
    hidden = hide(channels, 0.5, torch.zeros(50, 40, 1))
    assert (hidden.sum(dim=1) == 20).all()


def test_the_same_generator_hides_the_same() -> None:
    for by in (cells, ticks, blocks, channels):
        assert torch.equal(hide(by, 0.3), hide(by, 0.3))
