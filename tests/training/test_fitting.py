"""Training: where it starts, what it learns, and that it is the same every time."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from streamae.config import Training
from streamae.training.autoencoders.linear import Linear
from streamae.training.autoencoders.lstm import Lstm
from streamae.training.autoencoders.memory import Memory
from streamae.training.fitting import Fitted, fit
from streamae.training.material import Material
from streamae.training.views import FURTHEST, look, places
from tests.training.conftest import configured
from tests.training.synthetic import circles, windows_of

SMALL = Training(hidden=(16,), code=4, rank=4, steps=30, autoencoder="lstm")


def weights(fitted: Fitted) -> bytes:
    return b"".join(one.numpy().tobytes() for one in fitted.graph.state_dict().values())


def network(fitted: Fitted) -> bytes:
    return b"".join(one.numpy().tobytes() for one in fitted.graph.parts[-1].state_dict().values())


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_the_same_seed_gives_the_same_bytes(material: Material, name: str) -> None:
    training = configured(name, "seed = 3\n").training
    one, same = (fit(material.fit, material.scored, training) for _ in range(2))
    other = fit(material.fit, material.scored, configured(name, "seed = 4\n").training)
    assert weights(one) == weights(same) != weights(other)


def test_fitting_leaves_the_random_state_of_others_alone(material: Material) -> None:
    before = torch.get_rng_state()
    fit(material.fit, material.scored, SMALL)
    assert torch.equal(before, torch.get_rng_state())


def test_the_loss_is_the_last_parts_and_every_view_has_the_same_say() -> None:
    """Before training a network expects zero, so that its loss is the mean of the squares of each view."""
    windows = windows_of(circles(), circles(100, seed=1), length=100)
    squares, _ = look(*windows.scaled(windows.held_out, windows.held_out.spread(1)))
    fitted = fit(windows, torch.ones(3), msgspec.structs.replace(SMALL, steps=1))
    wanted = np.mean([float(squares[:, place].square().mean()) for place in places(100)])
    assert fitted.losses[0][1] == pytest.approx(wanted, rel=1e-5)


def test_a_network_does_not_chase_what_is_beyond_the_furthest() -> None:
    far, further = circles(300), circles(300)
    far.grid[150:160], further.grid[150:160] = 2 * FURTHEST, 100 * FURTHEST
    one, other = (fit(windows_of(each, each), torch.ones(3), SMALL) for each in (far, further))
    assert one.losses == other.losses
    assert network(one) == network(other)


def test_a_refit_goes_on_from_the_fitted_weights(material: Material) -> None:
    first = fit(material.fit, material.scored, SMALL)
    again = fit(material.fit, material.scored, msgspec.structs.replace(SMALL, steps=9), before=first.graph)
    assert again.losses[0][1] == min(loss for _, loss in first.losses) < first.losses[0][1]
    assert min(loss for _, loss in again.losses) <= again.losses[0][1]
    same = fit(material.fit, material.scored, msgspec.structs.replace(SMALL, steps=9), before=first.graph)
    assert weights(again) == weights(same) != weights(first)


def test_a_refit_learns_the_linear_part_anew() -> None:
    before, after = circles(400), circles(400, seed=1)
    first = fit(windows_of(before, before), torch.ones(3), SMALL)
    again = fit(windows_of(after, after), torch.ones(3), msgspec.structs.replace(SMALL, steps=1), before=first.graph)
    anew = fit(windows_of(after, after), torch.ones(3), msgspec.structs.replace(SMALL, steps=1))
    linear, wanted, old = (one.graph.parts[0].state_dict()["mean"] for one in (again, anew, first))
    assert torch.equal(linear, wanted)
    assert not torch.equal(linear, old)


def test_the_kept_weights_are_the_best_on_the_held_out_tail(material: Material) -> None:
    wild = Training(hidden=(8,), code=2, rank=4, steps=40, learning_rate=0.5, patience=2)
    fitted = fit(material.fit, material.scored, wild)
    assert fitted.best_step == min(fitted.losses, key=lambda one: one[1])[0]
    assert fitted.steps < 40  # it did not go on for long


def test_what_is_restless_at_first_is_not_given_up_before_it_calms_down(material: Material) -> None:
    """A code that is drawn to a prior rebuilds worse for a while."""
    wild = Training(
        autoencoder="dense",
        objective="adversarial",
        hidden=(8,),
        code=2,
        rank=4,
        steps=40,
        learning_rate=0.5,
        patience=2,
    )
    fitted = fit(material.fit, material.scored, wild)
    assert fitted.steps >= 20
    calm = fit(material.fit, material.scored, msgspec.structs.replace(wild, objective="undercomplete"))
    assert calm.steps < 20


def test_progress_is_told(material: Material) -> None:
    told: list[tuple[int, int, float]] = []
    fitted = fit(material.fit, material.scored, SMALL, lambda step, steps, loss: told.append((step, steps, loss)))
    assert [step for step, _, _ in told] == [step for step, _ in fitted.losses[1:]]
    assert {steps for _, steps, _ in told} == {30}


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_every_loss_copes_with_silence_and_knows_context(loss: str) -> None:
    training = Training(hidden=(8,), code=2, rank=2, steps=6, loss=loss)  # type: ignore[arg-type]
    learn, held_out = circles(300), circles(100, seed=1)
    learn.grid[::7, 0] = np.nan
    fitted = fit(windows_of(learn, held_out), torch.ones(3), training)
    assert all(np.isfinite(loss) for _, loss in fitted.losses)
    blind = fit(windows_of(learn, held_out), torch.tensor([1.0, 1.0, 0.0]), training)
    assert blind.losses[0][1] != fitted.losses[0][1]


@pytest.mark.parametrize("name", ["pca", "memory", "kmeans", "neighbours"])
def test_baselines_are_not_trained(material: Material, name: str) -> None:
    fitted = fit(material.fit, material.scored, configured(name).training)
    assert (fitted.steps, fitted.best_step, len(fitted.losses)) == (0, 0, 1)


@pytest.mark.parametrize("name", ["kmeans", "neighbours"])
def test_a_baseline_learns_from_normal_windows_without_the_linear_part(material: Material, name: str) -> None:
    mean = fit(material.fit, material.scored, msgspec.structs.replace(configured("pca").training, rank=0))
    fitted = fit(material.fit, material.scored, configured(name).training)
    assert [type(part).__name__.lower() for part in fitted.graph.parts] == [name]
    assert fitted.losses[0][1] < 0.3 * mean.losses[0][1]
    assert weights(fitted) == weights(fit(material.fit, material.scored, configured(name).training))


@pytest.mark.parametrize(
    ("name", "parts"), [("lstm", [Linear, Memory, Lstm]), ("memory", [Linear, Memory]), ("pca", [Linear])]
)
def test_the_linear_part_comes_first_then_the_memory(material: Material, name: str, parts: list[type]) -> None:
    training = msgspec.structs.replace(configured(name).training, steps=1)
    assert [type(part) for part in fit(material.fit, material.scored, training).graph.parts] == parts
