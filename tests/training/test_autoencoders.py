"""The linear part and the autoencoders beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streamae.config import Training
from streamae.errors import ConfigError
from streamae.training.autoencoders import Shape, autoencoder
from streamae.training.autoencoders.linear import Linear, fit_linear
from streamae.training.autoencoders.tokens import Tokens
from streamae.training.views import FURTHEST, look, places

LENGTH = 16
PLACES = places(LENGTH)  # all of the window, and its newest 8 ticks
SHAPE = Shape(24, 3)
NETWORKS = ["lstm", "transformer", "dense", "conv", "one-layer"]


def walks(windows: int, seed: int = 0) -> Tensor:
    """Rows [B, R, C] of smooth windows."""
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.randn(windows, LENGTH, SHAPE.channels, generator=generator).cumsum(dim=1)
    return look(smooth, everywhere(smooth))[0]


def everywhere(rows: Tensor) -> Tensor:
    return torch.ones_like(rows, dtype=torch.bool)


@pytest.fixture(autouse=True)
def _one_layer_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In your pyproject.toml: [project.entry-points."streamae.autoencoders"]  one-layer = "your_package:OneLayer"."""
    facts = tmp_path / "your_package-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: your-package\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[streamae.autoencoders]\none-layer = tests.training.one_layer:OneLayer\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_the_linear_part_is_pca_of_each_view() -> None:
    rows = walks(200)
    linear, coordinates = fit_linear(rows, 5, PLACES)(rows, everywhere(rows))
    assert coordinates.shape == (200, 2 * 5)
    for place in PLACES:
        cells = rows[:, place].flatten(1).numpy().astype(np.float64)
        mean = cells.mean(axis=0)
        left, values, right = np.linalg.svd(cells - mean, full_matrices=False)
        best = mean + (left[:, :5] * values[:5]) @ right[:5]
        np.testing.assert_allclose(linear[:, place].flatten(1).numpy(), best, atol=1e-3)


def test_both_gram_sides_give_the_same_linear_part() -> None:
    rows = walks(47)  # fewer than the 48 cells of a window
    wide, _ = fit_linear(rows, 4, PLACES)(rows, everywhere(rows))
    many, _ = fit_linear(torch.cat([rows, rows]), 4, PLACES)(rows, everywhere(rows))
    np.testing.assert_allclose(wide.numpy(), many.numpy(), atol=1e-3)


@pytest.mark.parametrize("windows", [47, 94])
def test_where_eigenvalues_do_not_converge_singular_values_do(windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.cat([walks(47), walks(47)])[:windows]
    wanted, _ = fit_linear(rows, 4, PLACES)(rows, everywhere(rows))

    def gives_up(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("failed to converge because the input matrix is ill-conditioned")

    monkeypatch.setattr(scipy.linalg, "eigh", gives_up)
    found, _ = fit_linear(rows, 4, PLACES)(rows, everywhere(rows))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_view_is_rebuilt_from_itself_alone() -> None:
    part, rows = fit_linear(walks(300), 6, PLACES), walks(20, seed=1)
    one, _ = part(rows, everywhere(rows))
    for place in PLACES:
        other = torch.randn(rows.shape)
        other[:, place] = rows[:, place]
        assert torch.equal(part(other, everywhere(rows))[0][:, place], one[:, place])


def test_silent_cells_take_no_part_and_are_filled_in_well() -> None:
    part, rows = fit_linear(walks(300), 6, PLACES), walks(50, seed=1)
    seen = everywhere(rows)
    seen[:, 4:7, 1] = seen[:, 17:19, 0] = False
    one, _ = part(rows, seen)
    other, _ = part(torch.where(seen, rows, 1e6), seen)
    np.testing.assert_array_equal(one.numpy(), other.numpy())
    whole, _ = part(rows, everywhere(rows))
    zeroed, _ = part(torch.where(seen, rows, 0.0), everywhere(rows))
    for place in PLACES:
        filled, drawn = ((each[:, place] - whole[:, place]).square().mean() for each in (one, zeroed))
        assert filled < 0.5 * drawn


def test_the_linear_part_is_the_same_whatever_the_order_of_summation() -> None:
    """Where channels are rebuilt well, an error is a small difference of large numbers: rounding would be seen."""
    place = PLACES[0]
    rows = walks(300)[:, place]
    seen = everywhere(rows)
    seen[::2, 3:5] = False
    part, order = fit_linear(rows, 8, [place]), torch.randperm(48, generator=torch.Generator().manual_seed(0))
    shuffled = Linear(part.mean[:, order], part.components[:, :, order], [place])
    one = part(rows, seen)[0].flatten(1)[:, order]
    cells, there = (each.flatten(1)[:, order].reshape(rows.shape) for each in (rows, seen))
    assert (shuffled(cells, there)[0].flatten(1) == one).float().mean() > 0.9999


def test_a_linear_part_without_components_is_the_mean_window() -> None:
    rows = walks(50)
    seen = everywhere(rows)
    seen[:, :4, 2] = False
    linear, coordinates = fit_linear(rows, 0, PLACES)(rows[:7], seen[:7])
    np.testing.assert_allclose(linear, rows.mean(dim=0).expand(7, -1, -1), atol=1e-6)
    assert not coordinates.any()


def test_more_components_than_half_of_a_view_are_not_kept() -> None:
    rows = walks(400)
    components = fit_linear(rows, 40, PLACES).components
    assert components.any(dim=2).sum(dim=1).tolist() == [24, 12]
    few = fit_linear(rows[:9], 40, PLACES).components
    assert few.any(dim=2).sum(dim=1).tolist() == [4, 4]


@pytest.mark.parametrize("windows", [1, 2, 5])
def test_few_windows_give_a_finite_linear_part(windows: int) -> None:
    for rows in (walks(windows), torch.zeros(windows, *SHAPE[:2])):
        linear, _ = fit_linear(rows, 16, PLACES)(walks(3), everywhere(walks(3)))
        assert torch.isfinite(linear).all()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("hidden", [(12,), (12, 8)])
def test_every_network_starts_at_the_centre(name: str, hidden: tuple[int, ...]) -> None:
    built = autoencoder(name)(SHAPE, Training(autoencoder=name, hidden=hidden, code=5, token=3))
    assert built is not None
    expected, code = built(walks(10), everywhere(walks(10)))
    assert expected.shape == (10, *SHAPE[:2])
    assert not expected.any()
    assert code.shape == (10, 5)
    assert built.beside == ("pca", "memory")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_takes_what_is_far_off_for_the_furthest(name: str) -> None:
    built = autoencoder(name)(SHAPE, Training(autoencoder=name, hidden=(12,), dropout=0))
    assert built is not None
    rows = 30 * walks(10)
    assert (rows.abs() > FURTHEST).any()
    one, other = (built(each, everywhere(rows))[1] for each in (rows, rows.clamp(-FURTHEST, FURTHEST)))
    assert torch.equal(one, other)


def test_nothing_stands_beside_the_linear_part_of_pca() -> None:
    assert autoencoder("pca")(SHAPE, Training(autoencoder="pca")) is None


@settings(max_examples=30)
@given(st.integers(1, 20), st.integers(1, 25), st.integers(1, 4))
def test_tokens_join_to_what_was_cut(length: int, rows: int, channels: int) -> None:
    tokens = Tokens(Shape(length, channels), rows)
    windows = torch.randn(2, length, channels)
    assert torch.equal(tokens.join(tokens.cut(windows)), windows)


def test_heads_must_divide_the_hidden_sizes() -> None:
    with pytest.raises(ConfigError, match=r"training.heads: 5 heads do not divide"):
        autoencoder("transformer")(SHAPE, Training(heads=5, hidden=(64,)))


def test_unknown_autoencoders_are_refused() -> None:
    with pytest.raises(
        ValueError, match="no autoencoder `vae`; known: conv, dense, kmeans, lstm, memory, neighbours, one-layer, pca"
    ):
        Training(autoencoder="vae")


def test_example_an_autoencoder_of_your_own() -> None:
    training = Training(autoencoder="one-layer")
    built = autoencoder("one-layer")(SHAPE, training)
    assert built is not None
    assert built.encode(walks(2), everywhere(walks(2))).shape == (2, training.code)
