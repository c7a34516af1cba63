"""The linear part: PCA of every view of a window. Alone it is the baseline `pca`.

B windows, M normal ones, V views, R rows of all views, C channels, D = rows of the highest view * C, K components.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy import linalg
from torch import Tensor
from torch.nn import functional

from streamae.config import Training
from streamae.training.autoencoders import Part, Shape
from streamae.training.views import cut

FILLS = 3  # passes that fill silent cells in with what the components say about them


class Linear(Part):
    """Projects each view onto the components of normal ones; silent cells take no part in it.

    Views are padded to one height at their old end, so that all are projected at once. In float64: an error is what is
    left between rows and their projection, and where channels are rebuilt well that is so little that float32's
    rounding, which falls otherwise in every runtime, would be seen in it.
    """

    mean: Tensor  # [V, D]
    components: Tensor  # [V, K, D]

    def __init__(self, mean: Tensor, components: Tensor, places: Sequence[slice]) -> None:
        super().__init__()
        self.places = list(places)
        self.register_buffer("mean", mean.double())
        self.register_buffer("components", components.double())

    def forward(self, rows: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of all views [B, R, C] -> the linear part [B, R, C], the coordinates in all views [B, V * K].

        Silent cells are filled in by turns (expectation-maximisation for PCA: Roweis, "EM Algorithms for PCA and
        SPCA", 1998, without refitting the components): a silent sensor must not pull its neighbours away.
        """
        mean = self.mean.unsqueeze(1)
        cells, there = stacked(rows, self.places).double(), stacked(seen.float(), self.places) > 0
        coordinates = self._filled_in(seen.all(), cells, there, self._project(torch.where(there, cells, mean)))
        return self._rows(self._cells(coordinates)), coordinates.float().permute(1, 0, 2).flatten(1)

    def at(self, coordinates: Tensor) -> Tensor:
        """The rows [B, R, C] that have these coordinates in all views [B, V * K]."""
        each = coordinates.double().reshape(coordinates.shape[0], len(self.places), -1).permute(1, 0, 2)
        return self._rows(self._cells(each))

    def _filled_in(self, whole: Tensor, cells: Tensor, there: Tensor, first: Tensor) -> Tensor:
        """Coordinates that silent cells agree with; the first where nothing is silent, bit for bit what passes give.

        So a batch without silence, as most are, costs up to a third less.
        """

        def by_turns(cells: Tensor, there: Tensor, coordinates: Tensor) -> Tensor:
            for _ in range(FILLS):
                coordinates = self._project(torch.where(there, cells, self._cells(coordinates)))
            return coordinates

        def at_once(cells: Tensor, there: Tensor, coordinates: Tensor) -> Tensor:
            return coordinates.clone()  # for torch, what goes in must not come out

        if torch.compiler.is_compiling():  # the served graph decides at every batch
            decided: Tensor = torch.cond(whole, at_once, by_turns, (cells, there, first))
            return decided
        return (at_once if whole else by_turns)(cells, there, first)

    def _project(self, cells: Tensor) -> Tensor:
        return torch.bmm(cells - self.mean.unsqueeze(1), self.components.transpose(1, 2))

    def _cells(self, coordinates: Tensor) -> Tensor:
        return self.mean.unsqueeze(1) + torch.bmm(coordinates, self.components)

    def _rows(self, cells: Tensor) -> Tensor:
        heights = _heights(self.places)
        each = cells.float().reshape(len(heights), cells.shape[1], max(heights), -1)
        own = [one.narrow(1, max(heights) - height, height) for one, height in zip(each, heights, strict=True)]
        return torch.cat(own, dim=1)


def stacked(rows: Tensor, places: Sequence[slice]) -> Tensor:
    """Views [V, B, D] from the rows of all [B, R, C], each padded to the highest with zeros at its old end."""
    heights = _heights(places)
    each = cut(rows, heights, dim=1)
    padded = [functional.pad(one, (0, 0, max(heights) - height, 0)) for one, height in zip(each, heights, strict=True)]
    return torch.stack([one.flatten(1) for one in padded])


def _heights(places: Sequence[slice]) -> list[int]:
    return [place.stop - place.start for place in places]


def fit_linear(rows: Tensor, rank: int, places: Sequence[slice]) -> Linear:
    """The linear part of normal rows [M, R, C], silent cells 0, with at most `rank` components a view.

    At most half of a view's cells and of M - 1 components are kept, for more would rebuild noise as well.
    """
    cells = stacked(rows, places).double()  # [V, M, D]
    mean = cells.mean(dim=1)
    components = torch.zeros(len(places), max(rank, 1), cells.shape[2], dtype=torch.float64)
    for view, place in enumerate(places):
        most = min(rank, (place.stop - place.start) * rows.shape[2] // 2, (len(rows) - 1) // 2)
        if most > 0:
            components[view, :most] = _principal(cells[view] - mean[view], most)
    return Linear(mean, components, places)


def _principal(centred: Tensor, rank: int) -> Tensor:
    """The first principal components [K, D] of centred cells [M, D], by the smaller Gram side."""
    if centred.shape[1] <= len(centred):
        _, vectors = _spectrum(centred.T @ centred, rank)
        components = vectors.T
    else:
        values, vectors = _spectrum(centred @ centred.T, rank)
        components = (vectors / values.clamp_min(1e-12).sqrt()).T @ centred
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    turned: Tensor = components * largest.sign()  # an eigenvector has no sign of its own
    return turned


def _spectrum(gram: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues [K] of a Gram matrix, descending, and their eigenvectors [N, K] in columns.

    With some libraries the fast method does not converge where many values are the same, as constant channels have
    them. Singular values and vectors of such a matrix are the same, and are found by another method.
    """
    try:
        values, vectors = linalg.eigh(gram.numpy(), subset_by_index=[len(gram) - count, len(gram) - 1])
    except linalg.LinAlgError:
        left, singular, _ = torch.linalg.svd(gram)
        return singular[:count], left[:, :count]
    return torch.from_numpy(values).flip(0), torch.from_numpy(vectors).flip(1)


def alone(shape: Shape, training: Training) -> None:
    """No network beside the linear part: the baseline `pca`."""
