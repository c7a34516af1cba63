"""The whole function: what silence, scale and calibration do to errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from streamae.config import Training
from streamae.training.autoencoders import Shape
from streamae.training.autoencoders.skip import LinearSkip, Nothing
from streamae.training.graph import FullGraph, Graph, scale

T, C = 8, 3


def flat(scored: tuple[float, ...] = (1, 1, 1)) -> Graph:
    """Expects every channel at its centre, throughout."""
    skip = LinearSkip(torch.zeros(T * C), torch.zeros(1, T * C))
    return Graph(skip, Nothing(Shape(T, C), Training()), torch.tensor(scored)).eval()


def profile(windows: int, centre: float = 0.0, spread: float = 1.0, unit: float = 1.0) -> Tensor:
    return torch.tensor([centre, spread, unit])[None, :, None].expand(windows, 3, C)


def test_error_is_the_mean_square_with_the_newest_half_counting_more() -> None:
    old, new = torch.zeros(2, T, C)
    old[: T // 2], new[T // 2 :] = 3.0, 3.0
    error, settled, channel = flat()(torch.stack([old, new]), profile(2))
    np.testing.assert_allclose(settled, [4.5, 4.5])
    np.testing.assert_allclose(error, [(2 * 4.5 + 0) / 3, (2 * 4.5 + 9) / 3])
    np.testing.assert_allclose(channel, error[:, None].expand(2, C))


def test_raw_units_do_not_matter() -> None:
    windows = torch.randn(5, T, C)
    one = flat()(windows, profile(5))
    other = flat()(windows * 20 + 300, profile(5, 300, 20))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-4)


def test_silent_cells_do_not_matter() -> None:
    windows = torch.randn(4, T, C)
    windows[:, ::3] = torch.nan
    error, settled, _ = flat()(windows, profile(4))
    squares = np.nanmean(windows.numpy() ** 2, axis=(1, 2))
    np.testing.assert_allclose(settled, squares, rtol=1e-5)
    assert torch.isfinite(error).all()


def test_a_channel_counts_by_how_much_of_it_was_there() -> None:
    window = torch.zeros(1, T, C)
    window[0, :, 0] = 2.0
    whole = flat()(window, profile(1))[1]
    window[0, 2:, 0] = torch.nan
    part = flat()(window, profile(1))[1]
    np.testing.assert_allclose(whole, 4 / 3)
    np.testing.assert_allclose(part, 4 * 0.25 / 2.25)


def test_silence_has_error_zero() -> None:
    windows = torch.randn(3, T, C)
    windows[0] = torch.nan
    windows[1, :, 2] = torch.nan
    windows[2, T // 2 :] = torch.nan
    outputs = flat()(windows, profile(3))
    assert all(torch.isfinite(one).all() for one in outputs)
    assert [float(one[0].sum()) for one in outputs] == [0, 0, 0]
    assert float(outputs[2][1, 2]) == 0
    assert outputs[2][2].min() > 0  # no newest half: the whole window says it alone


def test_context_channels_have_no_error() -> None:
    window = torch.zeros(1, T, C)
    window[0, :, 1] = 5.0
    error, settled, channel = flat((1, 0, 1))(window, profile(1))
    assert float(error) == float(settled) == float(channel.sum()) == 0


@pytest.mark.parametrize("value", [1e30, -1e38, 3.4e38])
def test_absurd_values_give_large_and_finite_errors(value: float) -> None:
    window = torch.full((1, T, C), value)
    outputs = FullGraph(flat())(window, profile(1, spread=0.1, unit=1e-3))
    assert all(torch.isfinite(one).all() for one in outputs)
    assert float(outputs[0]) > 1e6


def test_the_reconstruction_is_in_raw_units() -> None:
    windows = torch.randn(2, T, C)
    *_, reconstruction, embedding = FullGraph(flat())(windows, profile(2, centre=300, spread=20))
    np.testing.assert_allclose(reconstruction, 300)
    assert embedding.shape == (2, 1)


def test_scaling_keeps_silence_apart() -> None:
    scaled, observed = scale(torch.tensor([[[1.0, torch.nan, 5.0]]]), profile(1, 1.0, 2.0))
    assert scaled.tolist() == [[[0.0, 0.0, 2.0]]]
    assert observed.tolist() == [[[True, False, True]]]
