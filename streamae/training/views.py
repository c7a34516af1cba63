"""Views: a window seen at several resolutions, from all of it, coarsely, to its newest ticks, finely.

What is normal has no one time scale: a spike drowns in a long window, and a heartbeat does not fit into a short one.
Every part of a model sees all views, one below the other, as rows.

B windows, T ticks, C channels, R rows of all views.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

MOST_ROWS = 32  # of a view
FINEST = 8  # ticks that the finest view shows
FURTHEST = 10.0  # scales from the centre; what is further off is taken for this by an autoencoder, as input and as aim


class View(NamedTuple):
    """The newest ticks of a window, several to a row."""

    ticks: int
    to_row: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return -(-self.ticks // self.to_row)


def views(length: int) -> tuple[View, ...]:
    """The views of a window of `length` ticks: all of it, its newest 32 ticks, its newest 8.

    >>> views(128)
    (View(ticks=128, to_row=4), View(ticks=32, to_row=1), View(ticks=8, to_row=1))
    >>> views(32)
    (View(ticks=32, to_row=1), View(ticks=8, to_row=1))
    """
    coarsest = View(length, -(-length // MOST_ROWS))
    finer = [View(ticks, 1) for ticks in (MOST_ROWS, FINEST) if View(ticks, 1) != coarsest and ticks < length]
    return (coarsest, *finer)


def places(length: int) -> list[slice]:
    """The rows of each view among those of all."""
    ends = [0]
    for view in views(length):
        ends.append(ends[-1] + view.rows)
    return [slice(start, end) for start, end in pairwise(ends)]


def look(windows: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of all views: [B, R, C] of scaled windows [B, T, C], silence as 0; and which cells were observed.

    A row is the mean of what was observed of its ticks.
    """
    parts = [_rows(windows, observed, view) for view in views(windows.shape[1])]
    rows, seen = (torch.cat(one, dim=1) for one in zip(*parts, strict=True))
    return rows, seen


def _rows(windows: Tensor, observed: Tensor, view: View) -> tuple[Tensor, Tensor]:
    values, seen = (one.narrow(1, one.shape[1] - view.ticks, view.ticks) for one in (windows, observed))
    if view.to_row == 1:
        return values, seen
    older = view.rows * view.to_row - view.ticks
    padded = (functional.pad(one, (0, 0, older, 0)) for one in (values, seen.float()))
    total, counted = (one.reshape(-1, view.rows, view.to_row, one.shape[2]).sum(dim=2) for one in padded)
    return total / counted.clamp_min(1), counted > 0


def show(rows: Tensor, length: int) -> Tensor:
    """Windows [B, T, C] from the rows of all views [B, R, C]: every tick by the finest view that shows it."""
    shown = []
    newer = 0
    of_views = cut(rows, [view.rows for view in views(length)], dim=1)
    for view, own in reversed(list(zip(views(length), of_views, strict=True))):
        ticks = own.repeat_interleave(view.to_row, dim=1)
        shown.append(ticks.narrow(1, ticks.shape[1] - view.ticks, view.ticks - newer))
        newer = view.ticks
    return torch.cat(shown[::-1], dim=1)


def cut(whole: Tensor, sizes: Sequence[int], dim: int) -> list[Tensor]:
    """Parts of these sizes, as slices: torch's own split is exported as a sequence, which no GPU holds."""
    starts = accumulate(sizes, initial=0)
    return [whole.narrow(dim, start, size) for start, size in zip(starts, sizes, strict=False)]
