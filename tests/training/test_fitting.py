"""Training: where it starts, what it learns, and that it is the same every time."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from streamae.config import Training
from streamae.detection.artifact import Profiles, WindowSpec
from streamae.training.fitting import Fitted, FitWindows, fit
from streamae.training.material import Material
from streamae.training.series import Pool, Stretch
from tests.training.conftest import configured

SMALL = Training(hidden=(16,), code=4, skip_rank=4, steps=30, autoencoder="lstm")


def weights(fitted: Fitted) -> bytes:
    return b"".join(one.numpy().tobytes() for one in fitted.graph.state_dict().values())


def circles(ticks: int = 3000, seed: int = 0) -> Stretch:
    """A phase at random, and its sine and cosine: linearly unrelated, yet one follows from the other."""
    rng = np.random.default_rng(seed)
    phase = np.cumsum(rng.normal(0, 0.5, ticks))
    return Stretch("m", 0, np.stack([np.cos(phase), np.sin(phase), np.cos(2 * phase)], axis=1).astype(np.float32))


def windows_of(learn: Stretch, held_out: Stretch, length: int = 8) -> FitWindows:
    spec = WindowSpec(length=length, stride=1, cadence_ms=1)
    channels = learn.grid.shape[1]
    table = np.tile(np.array([0, 1, 1], np.float32)[None, :, None], (1, 1, channels))
    return FitWindows(Pool([learn], [], spec, 0.5), Pool([held_out], [], spec, 0.5), Profiles((), table))


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


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_what_is_not_linear_is_rebuilt_better_than_pca_can(name: str) -> None:
    training = Training(autoencoder=name, hidden=(32,), code=8, skip_rank=4, steps=250, learning_rate=1e-2, noise=0)
    fitted = fit(windows_of(circles(), circles(seed=1)), torch.ones(3), training)
    assert min(loss for _, loss in fitted.losses) < 0.8 * fitted.losses[0][1]


def test_the_kept_weights_are_the_best_on_the_held_out_tail(material: Material) -> None:
    wild = Training(hidden=(8,), code=2, skip_rank=4, steps=40, learning_rate=0.5, patience=2)
    fitted = fit(material.fit, material.scored, wild)
    assert fitted.best_step == min(fitted.losses, key=lambda one: one[1])[0]
    assert fitted.steps < 40  # it did not go on for long


def test_progress_is_told(material: Material) -> None:
    told: list[tuple[int, int, float]] = []
    fitted = fit(material.fit, material.scored, SMALL, lambda step, steps, loss: told.append((step, steps, loss)))
    assert [step for step, _, _ in told] == [step for step, _ in fitted.losses[1:]]
    assert {steps for _, steps, _ in told} == {30}


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_every_loss_copes_with_silence_and_knows_context(loss: str) -> None:
    training = Training(hidden=(8,), code=2, skip_rank=2, steps=6, loss=loss, noise=0)  # type: ignore[arg-type]
    learn, held_out = circles(300), circles(100, seed=1)
    learn.grid[::7, 0] = np.nan
    fitted = fit(windows_of(learn, held_out), torch.ones(3), training)
    assert all(np.isfinite(loss) for _, loss in fitted.losses)
    blind = fit(windows_of(learn, held_out), torch.tensor([1.0, 1.0, 0.0]), training)
    assert blind.losses[0][1] != fitted.losses[0][1]


@pytest.mark.parametrize("name", ["pca", "kmeans", "neighbours"])
def test_baselines_are_not_trained(material: Material, name: str) -> None:
    fitted = fit(material.fit, material.scored, configured(name).training)
    assert (fitted.steps, fitted.best_step, len(fitted.losses)) == (0, 0, 1)


@pytest.mark.parametrize("name", ["kmeans", "neighbours"])
def test_a_baseline_learns_from_normal_windows_without_the_skip(material: Material, name: str) -> None:
    mean = fit(material.fit, material.scored, msgspec.structs.replace(configured("pca").training, skip_rank=0))
    fitted = fit(material.fit, material.scored, configured(name).training)
    assert len(fitted.graph.skip.components) == len(mean.graph.skip.components) == 0
    assert fitted.losses[0][1] < 0.3 * mean.losses[0][1]
    assert weights(fitted) == weights(fit(material.fit, material.scored, configured(name).training))
