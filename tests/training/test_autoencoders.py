"""The linear skip and the autoencoders on top of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streamae.config import Training
from streamae.errors import ConfigError
from streamae.training.autoencoders import Shape, autoencoder
from streamae.training.autoencoders.skip import LinearSkip, fit_skip
from streamae.training.autoencoders.tokens import Tokens
from streamae.training.graph import Graph

SHAPE = Shape(16, 3)


def walks(windows: int, seed: int = 0) -> Tensor:
    """Smooth windows [B, T, C]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(windows, *SHAPE, generator=generator).cumsum(dim=1)


def everywhere(windows: Tensor) -> Tensor:
    return torch.ones_like(windows, dtype=torch.bool)


def test_the_skip_is_pca() -> None:
    windows = walks(200)
    linear, coordinates = fit_skip(windows, 5)(windows, everywhere(windows))
    cells = windows.flatten(1).numpy().astype(np.float64)
    mean = cells.mean(axis=0)
    left, values, right = np.linalg.svd(cells - mean, full_matrices=False)
    best = mean + (left[:, :5] * values[:5]) @ right[:5]
    np.testing.assert_allclose(linear.flatten(1).numpy(), best, atol=1e-3)
    assert coordinates.shape == (200, 5)


def test_both_gram_sides_give_the_same_skip() -> None:
    windows = walks(47)  # fewer than the 48 cells of a window
    wide, _ = fit_skip(windows, 4)(windows, everywhere(windows))
    many, _ = fit_skip(torch.cat([windows, windows]), 4)(windows, everywhere(windows))
    np.testing.assert_allclose(wide.numpy(), many.numpy(), atol=1e-3)


def test_silent_cells_take_no_part_and_are_filled_in_well() -> None:
    skip = fit_skip(walks(300), 6)
    windows = walks(50, seed=1)
    observed = everywhere(windows)
    observed[:, 4:7, 1] = False
    one, _ = skip(windows, observed)
    other, _ = skip(torch.where(observed, windows, 1e6), observed)
    np.testing.assert_array_equal(one.numpy(), other.numpy())
    whole, _ = skip(windows, everywhere(windows))
    zeroed, _ = skip(torch.where(observed, windows, 0.0), everywhere(windows))
    assert (one - whole).square().mean() < 0.5 * (zeroed - whole).square().mean()


def test_the_linear_part_is_the_same_whatever_the_order_of_summation() -> None:
    """Where channels are rebuilt well, an error is a small difference of large numbers: rounding would be seen."""
    windows = walks(300)
    observed = everywhere(windows)
    observed[::2, 3:5] = False
    skip, order = fit_skip(windows, 8), torch.randperm(48, generator=torch.Generator().manual_seed(0))
    shuffled = LinearSkip(skip.mean[order], skip.components[:, order])
    one = skip(windows, observed)[0].flatten(1)[:, order]
    cells, seen = (each.flatten(1)[:, order].reshape(-1, *SHAPE) for each in (windows, observed))
    assert (shuffled(cells, seen)[0].flatten(1) == one).float().mean() > 0.9999


def test_a_skip_without_components_is_the_mean_window() -> None:
    windows = walks(50)
    observed = everywhere(windows)
    observed[:, :4, 2] = False
    skip = fit_skip(windows, 0)
    linear, coordinates = skip(windows[:7], observed[:7])
    np.testing.assert_allclose(linear, windows.mean(dim=0).expand(7, -1, -1), atol=1e-6)
    assert coordinates.shape == (7, 0)
    rest = skip.rest(windows, observed)
    np.testing.assert_array_equal(rest, torch.where(observed, windows - linear[:1], 0.0))


@pytest.mark.parametrize("windows", [1, 2, 5])
def test_few_windows_give_a_finite_skip(windows: int) -> None:
    for given_windows in (walks(windows), torch.zeros(windows, *SHAPE)):
        linear, _ = fit_skip(given_windows, 16)(walks(3), everywhere(walks(3)))
        assert torch.isfinite(linear).all()


@pytest.mark.parametrize("name", ["lstm", "transformer", "pca"])
@pytest.mark.parametrize("hidden", [(12,), (12, 8)])
def test_every_autoencoder_starts_at_pca(name: str, hidden: tuple[int, ...]) -> None:
    training = Training(autoencoder=name, hidden=hidden, code=5, token=3)
    skip, windows = fit_skip(walks(100), 4), walks(10)
    graph = Graph(skip, autoencoder(name)(SHAPE, training), torch.ones(3))
    expected, embedding = graph.expect(windows, everywhere(windows))
    np.testing.assert_array_equal(expected.detach().numpy(), skip(windows, everywhere(windows))[0].numpy())
    assert embedding.shape == (10, 4 + (0 if name == "pca" else 5))


@settings(max_examples=30)
@given(st.integers(1, 20), st.integers(1, 25), st.integers(1, 4))
def test_tokens_join_to_what_was_cut(length: int, rows: int, channels: int) -> None:
    tokens = Tokens(Shape(length, channels), rows)
    windows = torch.randn(2, length, channels)
    assert torch.equal(tokens.join(tokens.cut(windows)), windows)


def test_heads_must_divide_the_hidden_sizes() -> None:
    with pytest.raises(ConfigError, match=r"training.heads: 5 heads do not divide"):
        autoencoder("transformer")(SHAPE, Training(heads=5))


def test_unknown_autoencoders_are_refused() -> None:
    with pytest.raises(ValueError, match="no autoencoder `vae`; known: kmeans, lstm, neighbours, pca, transformer"):
        Training(autoencoder="vae")


def test_example_an_autoencoder_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In your pyproject.toml: [project.entry-points."streamae.autoencoders"]  dense = "your_package:Dense"."""
    facts = tmp_path / "your_package-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: your-package\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[streamae.autoencoders]\ndense = tests.training.dense_example:Dense\n")
    monkeypatch.syspath_prepend(tmp_path)
    training = Training(autoencoder="dense")
    assert autoencoder("dense")(SHAPE, training).encode(walks(2), everywhere(walks(2))).shape == (2, training.code)
