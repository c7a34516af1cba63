"""The whole function: what silence, scale, views and units do to errors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from streamae.training.autoencoders import Autoencoder, Part
from streamae.training.autoencoders.linear import Linear
from streamae.training.graph import FullGraph, Graph, scale
from streamae.training.views import look, places, views

T, C = 8, 3  # so short that there is one view


class Constant(Part):
    """Expects the same of every cell."""

    def __init__(self, value: float, say: float = 1) -> None:
        super().__init__()
        self.value, self.say = value, say

    def forward(self, rows: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(rows, self.value), rows[:, 0]


def flat(scored: tuple[float, ...] = (1, 1, 1), length: int = T) -> Graph:
    """Expects every channel at its centre, throughout."""
    rows = places(length)
    cells = max(one.stop - one.start for one in rows) * C
    linear = Linear(torch.zeros(len(rows), cells), torch.zeros(len(rows), 1, cells), rows)
    return Graph([linear], length, torch.tensor(scored)).eval()


def profile(windows: int, centre: float = 0.0, spread: float = 1.0, unit: float = 1.0) -> Tensor:
    return torch.tensor([centre, spread, unit])[None, :, None].expand(windows, 3, C)


def test_error_is_the_mean_square_with_the_newest_half_counting_more() -> None:
    old, new = torch.zeros(2, T, C)
    old[: T // 2], new[T // 2 :] = 3.0, 3.0
    error, settled, channel = flat()(torch.stack([old, new]), profile(2))
    np.testing.assert_allclose(settled, [4.5, 4.5], rtol=1e-6)
    np.testing.assert_allclose(error, [(2 * 4.5 + 0) / 3, (2 * 4.5 + 9) / 3], rtol=1e-6)
    np.testing.assert_allclose(channel, error[:, None].expand(2, C), rtol=1e-6)


def test_raw_units_do_not_matter() -> None:
    windows = torch.randn(5, T, C)
    one = flat()(windows, profile(5))
    other = flat()(windows * 20 + 300, profile(5, 300, 20))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-4)


def test_silent_cells_do_not_matter() -> None:
    windows = torch.randn(4, T, C)
    windows[:, ::3] = torch.nan
    error, settled, _ = flat()(windows, profile(4))
    squares = np.nanmean(windows.numpy() ** 2, axis=1)
    np.testing.assert_allclose(settled, np.sqrt(squares).mean(axis=1) ** 2, rtol=1e-5)
    assert torch.isfinite(error).all()


def test_a_channel_counts_by_how_much_of_it_was_there() -> None:
    window = torch.zeros(1, T, C)
    window[0, :, 0] = 2.0
    whole = flat()(window, profile(1))[1]
    window[0, 2:, 0] = torch.nan
    part = flat()(window, profile(1))[1]
    np.testing.assert_allclose(whole, (2 / 3) ** 2, rtol=1e-6)
    np.testing.assert_allclose(part, (2 * 0.25 / 2.25) ** 2, rtol=1e-6)


@pytest.mark.parametrize("length", [T, 40, 128])
def test_silence_has_error_zero(length: int) -> None:
    windows = torch.randn(3, length, C)
    windows[0] = torch.nan
    windows[1, :, 2] = torch.nan
    windows[2, length // 2 :] = torch.nan
    outputs = flat(length=length)(windows, profile(3))
    assert all(torch.isfinite(one).all() for one in outputs)
    assert [float(one[0].sum()) for one in outputs] == [0, 0, 0]
    assert float(outputs[2][1, 2]) == 0
    assert outputs[2][2].min() > 0  # no newest half: the whole window says it alone


def test_context_channels_have_no_error() -> None:
    window = torch.zeros(1, T, C)
    window[0, :, 1] = 5.0
    error, settled, channel = flat((1, 0, 1))(window, profile(1))
    assert float(error) == float(settled) == float(channel.sum()) == 0


@pytest.mark.parametrize("length", [T, 128])
@pytest.mark.parametrize("value", [1e30, -1e38, 3.4e38])
def test_absurd_values_give_large_and_finite_errors(value: float, length: int) -> None:
    window = torch.full((1, length, C), value)
    outputs = FullGraph(flat(length=length))(window, profile(1, spread=0.1, unit=1e-3))
    assert all(torch.isfinite(one).all() for one in outputs)
    assert float(outputs[0]) > 1e6


@pytest.mark.parametrize("length", [T, 40, 128])
def test_the_reconstruction_is_in_raw_units(length: int) -> None:
    windows = torch.randn(2, length, C)
    *_, reconstruction, embedding = FullGraph(flat(length=length))(windows, profile(2, centre=300, spread=20))
    assert reconstruction.shape == windows.shape
    np.testing.assert_allclose(reconstruction, 300)
    assert embedding.shape == (2, len(views(length)))


def test_reconstruction_and_embedding_are_the_last_parts() -> None:
    graph = Graph([Constant(1.0), Constant(2.0)], 40, torch.ones(C)).eval()
    windows = torch.randn(2, 40, C)
    *_, reconstruction, embedding = FullGraph(graph)(windows, profile(2, centre=100, spread=10))
    np.testing.assert_allclose(reconstruction, 120)
    assert embedding.shape == (2, C)


def test_scaling_keeps_silence_apart() -> None:
    scaled, observed = scale(torch.tensor([[[1.0, torch.nan, 5.0]]]), profile(1, 1.0, 2.0))
    assert scaled.tolist() == [[[0.0, 0.0, 2.0]]]
    assert observed.tolist() == [[[True, False, True]]]


def test_an_aspect_in_which_nothing_was_observed_takes_no_part() -> None:
    """Half of the window is there: the views of its newest ticks say nothing, not that all is well."""
    graph = Graph([Constant(0.0)], 128, torch.ones(C)).eval()
    window = torch.full((1, 128, C), 3.0)
    window[0, 64:] = torch.nan
    error, settled, channel = graph(window, profile(1))
    for output in (error, settled, channel):
        np.testing.assert_allclose(output, 9, rtol=1e-5)
    window[0, 64:] = 0.0
    np.testing.assert_allclose(graph(window, profile(1))[1], (1 + 4.5) ** (1 / 3) - 1, rtol=1e-5)


def test_every_aspect_is_measured_in_units_of_its_own() -> None:
    graph = Graph([Constant(0.0), Constant(1.0)], 40, torch.ones(C)).eval()
    windows = torch.full((1, 40, C), 3.0)
    graph.unit.copy_(torch.tensor([9.0, 9, 9, 4, 4, 4])[:, None].expand(-1, C))
    graph.settled_unit.copy_(2 * graph.unit)
    error, settled, channel = graph(windows, profile(1, unit=0.5))
    np.testing.assert_allclose(error, 2, rtol=1e-6)
    np.testing.assert_allclose(settled, 1, rtol=1e-6)
    np.testing.assert_allclose(channel, 2, rtol=1e-6)
    graph.unit[5] /= 9
    np.testing.assert_allclose(graph(windows, profile(1))[0], (2**5 * (1 + 9)) ** (1 / 6) - 1, rtol=1e-6)


def test_a_network_has_half_the_say_of_the_parts_beside_it() -> None:
    graph = Graph([Constant(1.0), Constant(3.0, say=Autoencoder.say)], 40, torch.ones(C)).eval()
    error, settled, channel = graph(torch.zeros(1, 40, C), profile(1))
    for one in (error, settled, channel):
        np.testing.assert_allclose(one, (2 * 10**0.5) ** (1 / 1.5) - 1, rtol=1e-6)


Said = tuple[float, float]  # an error, and how much it counts


def naive(
    graph: Graph, parts: Sequence[tuple[float, float]], windows: Tensor, unit: float
) -> list[tuple[float, float, list[float]]]:
    """What the graph of Constant parts gives for each window, cell by cell."""
    rows, seen = (each.numpy() for each in look(*scale(windows, profile(len(windows)))))
    return [_naive(graph, parts, one.astype(np.float64), there, unit) for one, there in zip(rows, seen, strict=True)]


def _naive(
    graph: Graph, parts: Sequence[tuple[float, float]], rows: NDArray[np.float64], seen: NDArray[np.bool_], unit: float
) -> tuple[float, float, list[float]]:
    causal: list[Said] = []
    settled: list[Said] = []
    channels: list[list[Said]] = [[] for _ in range(C)]
    aspects = [(*part, place) for part in parts for place in places(graph.length)]
    for aspect, (value, say, place) in enumerate(aspects):
        roots, settled_roots, weights = [], [], []
        for channel in range(C):
            cells = range(place.start, place.stop)
            squares = {at: (rows[at, channel] - value) ** 2 for at in cells if seen[at, channel]}
            if not squares:
                continue
            newest = [squares[at] for at in squares if at - place.start >= (len(cells) + 1) // 2]
            whole = sum(squares.values()) / len(squares)
            recent = sum(newest) / len(newest) if newest else whole
            scored = float(graph.scored[channel])
            off = scored * (2 * whole + recent) / 3 / unit / float(graph.unit[aspect, channel])
            channels[channel].append((off, say))
            roots.append(math.sqrt(off))
            settled_roots.append(math.sqrt(scored * whole / unit / float(graph.settled_unit[aspect, channel])))
            weights.append(scored * len(squares) / len(cells))
        if sum(weights) > 0:
            causal.append((np.average(roots, weights=weights) ** 2, say))
            settled.append((np.average(settled_roots, weights=weights) ** 2, say))
    return _joined(causal), _joined(settled), [_joined(one) for one in channels]


def _joined(said: Sequence[Said]) -> float:
    return (
        math.prod((1 + error) ** say for error, say in said) ** (1 / sum(say for _, say in said)) - 1 if said else 0.0
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([2, 7, 8, 9, 31, 32, 33, 40, 65, 128]),
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, -2.0]), st.sampled_from([1.0, 0.5, 0.25])), min_size=1, max_size=2),
    st.sampled_from([(1, 1, 1), (1, 0, 1), (0, 0, 1)]),
    st.sampled_from([0.0, 0.1, 0.6, 0.97]),
    st.integers(0, 2**30),
)
def test_errors_are_what_the_slow_twin_says(
    length: int, parts: list[tuple[float, float]], scored: tuple[float, ...], silent: float, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    graph = Graph([Constant(*part) for part in parts], length, torch.tensor(scored, dtype=torch.float32)).eval()
    for units in (graph.unit, graph.settled_unit):
        units.copy_(0.1 + torch.rand(units.shape, generator=draw))
    windows = 2 * torch.randn(4, length, C, generator=draw)
    windows[torch.rand(windows.shape, generator=draw) < silent] = torch.nan
    windows[1, length // 2 :] = torch.nan
    error, settled, channel = graph(windows, profile(4, unit=1.7))
    wanted_error, wanted_settled, wanted_channel = zip(*naive(graph, parts, windows, 1.7), strict=True)
    np.testing.assert_allclose(error, wanted_error, rtol=2e-5)
    np.testing.assert_allclose(settled, wanted_settled, rtol=2e-5)
    np.testing.assert_allclose(channel, wanted_channel, rtol=2e-5)
