"""Adversarial: a code that cannot be told from the prior."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamae.training.objectives.adversarial import energy_distance
from tests.training.objectives.learnt import codes, error, learnt_by, unseen

SEEDS = range(5)


def sample(count: int, seed: int) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def passes_for(one: Tensor, other: Tensor, rounds: int = 200) -> float:
    """Share of random divisions of both samples that lie further apart: a two-sample test by permutation."""
    both, draw = torch.cat([one, other]), torch.Generator().manual_seed(0)
    found = energy_distance(one, other)
    orders = (torch.randperm(len(both), generator=draw) for _ in range(rounds))
    divided = (energy_distance(both[order[: len(one)]], both[order[len(one) :]]) for order in orders)
    return sum(int(each >= found) for each in divided) / rounds


@pytest.mark.parametrize("seed", SEEDS)
def test_with_every_seed_the_code_is_near_the_prior_and_rebuilds(seed: int) -> None:
    adversarial, plain = learnt_by("adversarial", seed=seed), learnt_by("undercomplete", seed=seed)
    prior = sample(400, 1)
    apart, usual = (float(energy_distance(codes(one, unseen().rows), prior)) for one in (adversarial, plain))
    assert apart < 0.2 * usual
    assert error(adversarial, unseen()) < 2 * error(plain, unseen())


def test_few_codes_cannot_be_told_from_the_prior() -> None:
    """By a test that tells a plain code at once."""
    some = unseen().rows[::10]
    adversarial, plain = (codes(learnt_by(name), some) for name in ("adversarial", "undercomplete"))
    assert passes_for(adversarial, sample(len(some), 1)) > 0.01
    assert passes_for(plain, sample(len(some), 1)) < 0.01


def test_the_energy_distance_is_nothing_between_the_same_and_grows_with_what_is_between() -> None:
    one = sample(300, 0)
    assert energy_distance(one, one) == pytest.approx(0.0, abs=1e-5)
    near, far = (float(energy_distance(one, sample(300, 1) + shift)) for shift in (0.0, 2.0))
    assert near < 0.05 < 1 < far
