"""The memory: a window has its own level, and the shape of the normal ones that are most like it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from streamae.config import Training
from streamae.training.autoencoders import Shape
from streamae.training.autoencoders.memory import FURTHEST, NEIGHBOURS, NOWHERE, REMEMBERED, Memory
from streamae.training.views import look, places
from tests.training.test_nearest import (
    SHAPE,
    Kind,
    check_chosen_alike,
    constant,
    everywhere,
    noise,
    somewhere,
    switches,
)

LENGTH = 40
PLACES = places(LENGTH)  # 20 rows of all of it, its newest 32 ticks, its newest 8


def waves(windows: int, seed: int = 0, level: float = 0.0) -> Tensor:
    """Rows [B, R, C] of waves of one period at any phase."""
    rng = np.random.default_rng(seed)
    ticks = np.arange(LENGTH)[:, None] + 12 * rng.random((windows, 1, 1)) + np.array([0, 2, 5])
    wave = torch.from_numpy(np.sin(2 * np.pi * ticks / 12) + level).float()
    return look(wave, everywhere(wave))[0]


def learnt(rows: Tensor, seen: Tensor | None = None, rank: int = 8) -> Memory:
    memory = Memory(Shape(*rows.shape[1:]), Training(rank=rank))
    memory.learn(rows, everywhere(rows) if seen is None else seen, PLACES)
    return memory


def off(memory: Memory, rows: Tensor) -> Tensor:
    """Mean squared error of each window [B]."""
    squares: Tensor = (memory(rows, everywhere(rows))[0] - rows).square()
    return squares.mean(dim=(1, 2))


def test_a_level_that_has_moved_for_good_is_no_anomaly() -> None:
    memory = learnt(waves(1000))
    assert off(memory, waves(50, seed=1, level=7.0)).max() < 0.01


def test_a_shape_that_never_was_is_far_off() -> None:
    memory, rows = learnt(waves(1000)), waves(50, seed=1)
    usual = off(memory, rows).max()
    for anomaly in (rows[:, ::2].repeat_interleave(2, dim=1), 2 * rows, 0 * rows):
        assert off(memory, anomaly).min() > 10 * usual


def test_it_expects_the_level_and_the_mean_of_the_nearest_shapes() -> None:
    normal, rows = waves(60), waves(20, seed=1, level=2.0)
    memory = learnt(normal)
    found, coordinates = memory(rows, everywhere(rows))
    assert coordinates.shape == (20, 3 * 8)
    known = memory(normal, everywhere(normal))[1].double()
    three = (coordinates.double()[:, None] - known).square().sum(dim=2).argsort(dim=1)[:, :NEIGHBOURS]
    shape = memory.linear.at(known[three].mean(dim=1))
    level = torch.cat([rows[:, one].mean(dim=1, keepdim=True).expand_as(rows[:, one]) for one in PLACES], dim=1)
    np.testing.assert_allclose(found, shape + level, atol=1e-5)


def test_windows_of_all_times_are_remembered() -> None:
    rows = torch.arange(3000.0).reshape(-1, 1, 1) * waves(1)  # ever larger
    memory = learnt(rows)
    assert len(memory.remembered) == REMEMBERED
    along = memory.remembered[:, 0].double()
    steps = (along / (along[-1] - along[0])).diff()
    assert 0.99 / 3000 < float(steps.min()) < float(steps.max()) < 2.01 / 3000
    ends = memory(rows[[0, -1]], everywhere(rows[:2]))[1]
    np.testing.assert_allclose(memory.remembered[[0, -1]], ends, rtol=1e-5, atol=1e-3)


def test_silent_cells_take_no_part() -> None:
    memory, rows = learnt(waves(500)), waves(40, seed=1)
    seen = somewhere(rows, share=0.7)
    one, where = memory(torch.where(seen, rows, 0.0), seen)
    other, there = memory(torch.where(seen, rows, 1e4), seen)
    assert torch.equal(one, other)
    assert torch.equal(where, there)
    rebuilt = (one - rows)[:-1].square()  # of the last nothing was seen
    assert rebuilt.mean() < 0.05


def test_silence_is_not_learnt() -> None:
    rows = waves(1000, level=7.0)
    seen = somewhere(rows, share=0.7)
    partly = slice(500, -1)
    memory = learnt(torch.where(seen, rows, 0.0)[partly], seen[partly])
    assert off(memory, waves(50, seed=1)).max() < 0.1


@pytest.mark.parametrize("windows", [1, 2, 3, 5])
@pytest.mark.parametrize("rank", [0, 8])
def test_few_windows_are_enough(windows: int, rank: int) -> None:
    """And give weights of the same shape as many do, so that an export can be filled with them."""
    memory, many = learnt(waves(windows), rank=rank), learnt(waves(3000), rank=rank)
    assert off(memory, waves(9, seed=1)).max() < 5
    shapes = [{name: weight.shape for name, weight in one.state_dict().items()} for one in (memory, many)]
    assert shapes[0] == shapes[1]


def test_what_stands_in_for_windows_that_are_not_there_is_never_near() -> None:
    memory = learnt(waves(5), rank=1)
    assert off(memory, memory.linear.at(torch.zeros(1, 3))) > 0.01
    for far in (2.0**10, FURTHEST, NOWHERE):
        assert off(memory, memory.linear.at(torch.full((1, 3), far))) > 1e4


def test_before_it_has_learnt_it_expects_what_there_is_on_average() -> None:
    rows = waves(4, level=3.0)
    expected, _ = Memory(Shape(*rows.shape[1:]), Training())(rows, everywhere(rows))
    np.testing.assert_allclose(expected, rows.mean(dim=1, keepdim=True).expand_as(rows), atol=1e-5)


@pytest.mark.parametrize("kind", [switches, noise, constant])
def test_the_exported_graph_chooses_as_the_network_does(kind: Kind) -> None:
    memory = Memory(SHAPE, Training(rank=6))
    memory.learn(kind(200), everywhere(kind(200)), places(SHAPE.rows))
    check_chosen_alike(memory, kind)
