"""The baselines `kmeans` and `neighbours`: what is nearest is the same to the last bit, however sums are taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streamae.config import Training
from streamae.training.autoencoders import Autoencoder, Shape
from streamae.training.autoencoders.nearest import BANK, CENTROIDS, KMeans, Nearest, Neighbours, squared_distances
from streamae.training.export import export
from streamae.training.graph import Graph

SHAPE = Shape(8, 3)  # so short a window has one view: its rows are its ticks
Kind = Callable[..., Tensor]

KINDS = {"kmeans": KMeans, "neighbours": Neighbours}


def switches(windows: int, seed: int = 0) -> Tensor:
    """Windows [B, T, C] of 0 and 0.3, which no float is: many are equally far from each other, and some the same."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(windows, *SHAPE[:2], generator=generator) < torch.rand(windows, 1, 1, generator=generator)
    return 0.3 * drawn.float()


def noise(windows: int, seed: int = 0) -> Tensor:
    return torch.randn(windows, *SHAPE[:2], generator=torch.Generator().manual_seed(seed))


def constant(windows: int, seed: int = 0) -> Tensor:
    return torch.full((windows, *SHAPE[:2]), 0.7)


def somewhere(windows: Tensor, share: float = 0.8, seed: int = 0) -> Tensor:
    """Which cells were observed: all of the first windows, some of the others, none of the last."""
    observed = torch.rand(windows.shape, generator=torch.Generator().manual_seed(seed)) < share
    observed[: len(windows) // 2], observed[-1] = True, False
    return observed


def everywhere(windows: Tensor) -> Tensor:
    return torch.ones_like(windows, dtype=torch.bool)


def learnt(kind: type[Nearest], windows: Tensor, seed: int = 0) -> Nearest:
    nearest = kind(SHAPE, Training(seed=seed))
    nearest.learn(windows, everywhere(windows), [slice(0, SHAPE.rows)])
    return nearest


def code(nearest: Nearest, windows: Tensor, observed: Tensor) -> Tensor:
    return nearest.encode(torch.where(observed, windows, 0.0), observed)


def test_neighbours_expect_the_mean_of_the_three_nearest() -> None:
    bank, windows = noise(40), noise(20, seed=1)
    observed = somewhere(windows)[:-1]
    nearest = learnt(Neighbours, bank)
    expected = nearest.decode(code(nearest, windows[:-1], observed))
    off = np.where(observed[:, None], (windows[:-1, None] - bank[None]).numpy(), 0.0)
    three = np.argsort((off**2).sum(axis=(2, 3)), axis=1)[:, :3]
    np.testing.assert_allclose(expected, bank.numpy()[three].mean(axis=1), atol=1e-6)


def test_kmeans_expects_the_nearest_of_its_centroids() -> None:
    groups = 5 * noise(4)
    windows = torch.cat([groups + 0.1 * noise(4, seed) for seed in range(1, 30)])
    nearest = learnt(KMeans, windows)
    assert len(nearest.bank) == CENTROIDS
    expected = nearest.decode(nearest.encode(groups, everywhere(groups)))
    assert (expected - groups).abs().max() < 0.25
    assert (nearest.encode(windows, everywhere(windows)).sum(dim=0) > 0).all()  # none is idle


@pytest.mark.parametrize("seed", range(4))
def test_no_centroid_stands_for_nothing(seed: int) -> None:
    """Of windows that differ in their last bits, k-means leaves clusters empty."""
    alike = 1 + switches(5, seed).repeat(6, 1, 1) + 1e-7 * noise(30, seed)
    assert (learnt(KMeans, alike, seed).bank > 0.9).all()


def test_equally_near_ones_share() -> None:
    one, far = torch.zeros(1, *SHAPE[:2]), torch.full((1, *SHAPE[:2]), 9.0)
    nearest = learnt(Neighbours, torch.cat([far, one, one, one, one, far]))
    np.testing.assert_array_equal(code(nearest, one, everywhere(one)), [[0, 0.25, 0.25, 0.25, 0.25, 0]])
    halfway = learnt(KMeans, torch.cat([one, far]))
    np.testing.assert_array_equal(code(halfway, one + 4.5, everywhere(one)), [[0.5, 0.5]])


@pytest.mark.parametrize("name", KINDS)
def test_nothing_has_a_say_beside_it(name: str) -> None:
    assert KINDS[name].beside == ()


@pytest.mark.parametrize("name", KINDS)
def test_silent_cells_take_no_part(name: str) -> None:
    nearest, windows = learnt(KINDS[name], noise(60)), noise(20, seed=1)
    observed = somewhere(windows)
    wild = torch.where(observed, windows, 1e4)
    assert torch.equal(nearest.encode(wild, observed), code(nearest, windows, observed))
    silent = nearest.decode(code(nearest, windows, observed))[-1]
    np.testing.assert_allclose(silent, nearest.bank.mean(dim=0).reshape(SHAPE[:2]), atol=1e-6)


def test_silence_does_not_draw_centroids_away() -> None:
    windows = constant(40)
    observed = somewhere(windows)
    nearest = KMeans(SHAPE, Training())
    nearest.learn(torch.where(observed, windows, 0.0), observed, [slice(0, SHAPE.rows)])
    rebuilt = nearest.bank[nearest.bank > 0]  # the others were silent in all windows of their cluster
    np.testing.assert_allclose(rebuilt, 0.7, rtol=1e-6)
    assert len(rebuilt) > 0.5 * nearest.bank.numel()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([switches, noise, constant]), st.sampled_from(list(KINDS)), st.integers(0, 2**30))
def test_the_order_of_summation_does_not_matter(kind: Kind, name: str, seed: int) -> None:
    """Nor does the batch: the code is the same to the last bit."""
    nearest, windows = learnt(KINDS[name], kind(30, seed)), kind(12, seed + 1)
    cells, seen = windows.flatten(1), somewhere(windows, seed=seed).flatten(1)
    together = squared_distances(cells, seen, nearest.bank)
    order = torch.randperm(cells.shape[1], generator=torch.Generator().manual_seed(seed))
    assert torch.equal(together, squared_distances(cells[:, order], seen[:, order], nearest.bank[:, order]))
    alone = [squared_distances(one[None], there[None], nearest.bank) for one, there in zip(cells, seen, strict=True)]
    assert torch.equal(together, torch.cat(alone))


def test_distances_are_exact_up_to_the_longest_windows() -> None:
    """All cells as far as they can be, in a window of 20,000 cells: the sum is still a whole number."""
    cells = torch.full((2, 20_000), 1e4)
    cells[1, 0] = 63.999
    found = squared_distances(cells, torch.ones_like(cells), -cells)
    side = 64 * 1024
    assert found[0, 0] == 3 * 20_000 * side**2
    assert found[1, 0] == found[0, 0] - 2 * side * (side - round(63.999 * 1024))


@pytest.mark.parametrize("windows", [1, 2, 3, 19, 21])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", [switches, noise, constant])
def test_few_windows_are_enough(windows: int, name: str, kind: Kind) -> None:
    nearest, others = learnt(KINDS[name], kind(windows)), noise(5, seed=1)
    expected = nearest.decode(code(nearest, others, somewhere(others)))
    assert torch.isfinite(expected).all()
    assert len(nearest.bank) <= windows


def test_before_it_has_learnt_it_expects_the_centre() -> None:
    windows = noise(3)
    for kind in KINDS.values():
        untaught = kind(SHAPE, Training())
        assert not untaught.decode(untaught.encode(windows, everywhere(windows))).any()


def test_the_bank_is_spread_over_all_windows() -> None:
    windows = torch.arange(4000.0).reshape(-1, 1, 1).expand(-1, *SHAPE[:2])
    bank = learnt(Neighbours, windows).bank[:, 0]
    assert (len(bank), float(bank[0]), float(bank[-1])) == (BANK, 0, 3999)
    assert float(bank.diff().max()) <= 4000 / BANK + 1


def test_the_same_seed_gives_the_same_centroids() -> None:
    windows = noise(300)
    one, same, other = (learnt(KMeans, windows, seed).bank for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", [switches, noise, constant])
def test_the_exported_graph_chooses_as_the_network_does(name: str, kind: Kind) -> None:
    check_chosen_alike(learnt(KINDS[name], kind(200)), kind)


def check_chosen_alike(part: Autoencoder, kind: Kind) -> None:
    """As a part that has learnt from 200 windows of a kind: whatever is tied, and whatever stands beside a window."""
    graph = Graph([part], SHAPE.rows, torch.ones(SHAPE.channels)).eval()
    exported = export(graph, SHAPE.rows, type(part).__name__.encode())  # once, then only filled
    session = onnxruntime.InferenceSession(exported.model, providers=["CPUExecutionProvider"])
    windows = torch.cat([kind(200)[:100], kind(100, 1), switches(50, 2), noise(50, 3)])
    windows = torch.where(somewhere(windows), windows, torch.nan)[
        torch.randperm(300, generator=torch.Generator().manual_seed(0))
    ]
    profile = torch.tensor([0.0, 1.0, 1.0])[None, :, None].expand(300, 3, SHAPE.channels).contiguous()

    def errors(rows: slice) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        return list(session.run(None, {"windows": windows[rows].numpy(), "profile": profile[rows].numpy()}))

    together = errors(slice(0, 300))
    for wanted, given_errors in zip(graph(windows, profile), together, strict=True):
        np.testing.assert_allclose(given_errors, wanted, rtol=1e-5, atol=1e-7)
    for batch in (1, 7, 64):
        apart = [errors(slice(at, at + batch)) for at in range(0, 300, batch)]
        for whole, parts in zip(together, zip(*apart, strict=True), strict=True):
            assert np.concatenate(parts).tobytes() == whole.tobytes()
