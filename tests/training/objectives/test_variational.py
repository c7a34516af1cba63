"""Variational: a code that is a distribution near the prior, so that it can be sampled."""

from __future__ import annotations

import msgspec
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from streamae.config.objectives import Variational
from streamae.training.objectives.adversarial import energy_distance
from streamae.training.objectives.objective import Batch
from streamae.training.objectives.variational import Variational as Objective
from tests.training.objectives.learnt import codes, learnt_by, rebuilt, training, unseen, untrained

UNUSED = 0.01  # variance of a number's mean below which it says nothing (Burda et al., 2016)


def generated(count: int = 400) -> Tensor:
    """Windows of codes that are drawn from the prior."""
    network = learnt_by("variational")
    with torch.no_grad():
        return network.decode(torch.randn(count, 3, generator=torch.Generator().manual_seed(0)))


def from_normal(rows: Tensor) -> Tensor:
    """How far each window [B, R, C] is from the nearest normal one: mean square of a cell."""
    return torch.cdist(rows.flatten(1), unseen().rows.flatten(1)).amin(dim=1).square() / rows[0].numel()


def test_the_divergence_is_that_of_normal_distributions() -> None:
    draw = torch.Generator().manual_seed(0)
    mean, log = (torch.randn(50, 4, generator=draw) for _ in range(2))
    wanted = kl_divergence(Normal(mean, (log / 2).exp()), Normal(torch.zeros(4), torch.ones(4))).mean(dim=0)
    torch.testing.assert_close(Objective(Variational(free_bits=0.0)).divergence(mean, log), wanted.sum())
    free = Objective(Variational(free_bits=1.0)).divergence(mean, log)
    torch.testing.assert_close(free, wanted.clamp_min(1.0).sum())


def test_the_weight_of_the_divergence_rises_from_nothing() -> None:
    network = untrained(training(Variational(warm_up=0.5)))
    batch = unseen()

    def loss(progress: float) -> float:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return float(network.loss(Batch(batch.windows, batch.observed, batch.scored, progress=progress)).detach())

    start, half, full, end = map(loss, (0.0, 0.25, 0.5, 1.0))
    assert start < half < full == end
    assert half - start == pytest.approx((full - start) / 2, rel=1e-3)


def test_training_goes_by_way_of_a_sample() -> None:
    """So it is never the same twice; what is held out goes by way of the mean."""
    network, batch = untrained(training("variational")), unseen()
    learning = Batch(batch.windows, batch.observed, batch.scored)
    first, second = (float(network.loss(learning).detach()) for _ in range(2))
    assert first != second
    assert torch.equal(network.loss(batch), network.loss(batch))


def test_what_is_rebuilt_counts_by_the_share_of_its_error_that_is_gained() -> None:
    """The best variance is the error itself: a loud series and a quiet one weigh alike beside the divergence."""
    network, batch = untrained(training(Variational(weight=0.0))), unseen()
    with torch.no_grad():
        expected, _ = network(batch.rows, batch.seen)
        assert float(network.loss(batch)) == pytest.approx(float(batch.error(expected).log()) / 2, rel=1e-5)


def test_the_code_has_not_collapsed() -> None:
    assert (codes(learnt_by("variational"), unseen().rows).var(dim=0) > UNUSED).sum() >= 2


def test_the_divergence_holds_the_code_near_the_prior() -> None:
    prior = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    held, free = (codes(learnt_by(Variational(weight=weight)), unseen().rows) for weight in (1.0, 0.0))
    assert energy_distance(held, prior) < 0.5 * energy_distance(free, prior)


def test_the_code_is_a_distribution() -> None:
    """What the prior's sample decodes to is normal: without noise in the code, decoded only is what was met."""
    far = from_normal(generated())
    noise = torch.randn(400, *generated().shape[1:], generator=torch.Generator().manual_seed(1))
    assert far.median() < 0.15 * from_normal(noise * unseen().rows.std()).median()


def test_between_two_windows_lie_windows_not_their_mean() -> None:
    network, rows = learnt_by("variational"), unseen().rows
    one, other = rows[:200], rows[200:]
    between = codes(network, torch.cat([one, other])).reshape(2, 200, -1).mean(dim=0)
    with torch.no_grad():
        way = network.decode(between)
    assert from_normal(way).mean() < 0.7 * from_normal((one + other) / 2).mean()


def test_it_rebuilds_by_way_of_the_mean_the_same_every_time() -> None:
    network, rows = learnt_by("variational"), unseen().rows
    assert torch.equal(rebuilt(network, rows), rebuilt(network, rows))
    assert float((rebuilt(network, rows) - rows).square().mean()) < 0.1 * float(rows.square().mean())


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_every_loss_serves(loss: str) -> None:
    batch = unseen()
    given = Batch(batch.windows, batch.observed, batch.scored, loss=loss, held_out=True)  # type: ignore[arg-type]
    assert untrained(msgspec.structs.replace(training("variational"), loss=loss)).loss(given).isfinite()
