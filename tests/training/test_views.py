"""Views: what of a window is seen, how coarsely, and that it can be shown again."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streamae.training.views import FINEST, MOST_ROWS, View, look, places, show, views

C = 2
LENGTHS = st.integers(2, 300)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Windows [B, T, C] of any length, silence as 0, and which of their cells were observed."""
    length, seed = draw(LENGTHS), torch.Generator().manual_seed(draw(st.integers(0, 2**30)))
    share = draw(st.sampled_from([0.0, 0.2, 0.9, 1.0]))
    values = torch.randn(3, length, C, generator=seed)
    observed = torch.rand(values.shape, generator=seed) < share
    observed[1, length // 2 :] = False
    return torch.where(observed, values, 0.0), observed


def test_views_go_from_the_whole_window_to_its_newest_ticks() -> None:
    for length in range(2, 301):
        whole, *finer = views(length)
        assert whole.ticks == length
        assert finer == [View(ticks, 1) for ticks in (MOST_ROWS, FINEST) if ticks < length]


def test_the_whole_window_has_as_many_rows_as_may_be() -> None:
    for length in range(2, 301):
        whole = views(length)[0]
        assert whole.rows == math.ceil(length / whole.to_row) <= MOST_ROWS
        assert whole.to_row == 1 or math.ceil(length / (whole.to_row - 1)) > MOST_ROWS


def test_places_lie_one_below_the_other_without_a_gap() -> None:
    for length in range(2, 301):
        found = places(length)
        assert [place.stop - place.start for place in found] == [view.rows for view in views(length)]
        assert found[0].start == 0
        assert all(one.stop == other.start for one, other in pairwise(found))


def naive_rows(values: Tensor, observed: Tensor, view: View) -> tuple[Tensor, Tensor]:
    """One view of one window [T, C], cell by cell, from its newest tick to its oldest."""
    rows, seen = torch.zeros(view.rows, values.shape[1]), torch.zeros(view.rows, values.shape[1], dtype=torch.bool)
    for channel in range(values.shape[1]):
        cells: dict[int, list[float]] = {}
        for back in range(view.ticks):
            if observed[-1 - back, channel]:
                cells.setdefault(view.rows - 1 - back // view.to_row, []).append(float(values[-1 - back, channel]))
        for row, there in cells.items():
            rows[row, channel], seen[row, channel] = sum(there) / len(there), True
    return rows, seen


@settings(max_examples=60, deadline=None)
@given(windows())
def test_rows_are_what_the_slow_twin_sees(given_windows: tuple[Tensor, Tensor]) -> None:
    rows, seen = look(*given_windows)
    for at, (values, observed) in enumerate(zip(*given_windows, strict=True)):
        wanted = [naive_rows(values, observed, view) for view in views(len(values))]
        np.testing.assert_allclose(rows[at], torch.cat([one for one, _ in wanted]), atol=1e-6)
        assert torch.equal(seen[at], torch.cat([there for _, there in wanted]))


@settings(max_examples=60, deadline=None)
@given(windows())
def test_silence_is_no_row_and_counts_nowhere(given_windows: tuple[Tensor, Tensor]) -> None:
    values, observed = given_windows
    rows, seen = look(values, observed)
    assert not rows[~seen].any()
    dead = torch.zeros_like(observed)
    assert not look(torch.zeros_like(values), dead)[1].any()


@settings(max_examples=60, deadline=None)
@given(windows())
def test_what_is_shown_are_the_newest_ticks_and_means_of_the_older_ones(given_windows: tuple[Tensor, Tensor]) -> None:
    values, observed = given_windows
    length = values.shape[1]
    rows, _ = look(values, observed)
    shown = show(rows, length)
    assert shown.shape == values.shape
    newest = min(length, MOST_ROWS)
    assert torch.equal(shown[:, -newest:], values[:, -newest:])
    whole = views(length)[0]
    for tick in range(length - newest):
        back = length - 1 - tick
        assert torch.equal(shown[:, tick], rows[:, whole.rows - 1 - back // whole.to_row])


@settings(max_examples=60, deadline=None)
@given(LENGTHS)
def test_every_tick_is_shown_by_the_finest_view_that_has_it(length: int) -> None:
    rows = torch.cat([torch.full((1, view.rows, 1), float(at)) for at, view in enumerate(views(length))], dim=1)
    finest = [max(at for at, view in enumerate(views(length)) if back < view.ticks) for back in reversed(range(length))]
    assert show(rows, length)[0, :, 0].tolist() == finest


@pytest.mark.parametrize("length", [33, 41, 102, 127, 129, 255])
def test_a_length_that_rows_do_not_divide_is_short_of_its_oldest_row(length: int) -> None:
    whole = views(length)[0]
    assert length % whole.to_row
    values = torch.arange(float(length)).reshape(1, -1, 1)
    rows, seen = look(values, torch.ones_like(values, dtype=torch.bool))
    assert seen.all()
    first = length % whole.to_row
    assert float(rows[0, 0]) == pytest.approx(values[0, :first].mean())
    assert float(rows[0, whole.rows - 1]) == pytest.approx(values[0, -whole.to_row :].mean())
