"""The linear skip: PCA over whole windows. What it rebuilds, no network has to learn; alone it is the baseline `pca`.

B windows, T ticks, C channels, D = T * C, K components.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamae.config import Training
from streamae.training.autoencoders import Autoencoder, Shape

FILLS = 3  # passes that fill silent cells in with what the components say about them


class LinearSkip(nn.Module):
    """Projects scaled windows onto the components of normal ones; silent cells take no part in it.

    In float64: an error is what is left between a window and its projection, and where channels are rebuilt well that
    is so little that float32's rounding, which falls otherwise in every runtime, would be seen in it.
    """

    mean: Tensor  # [D]
    components: Tensor  # [K, D]

    def __init__(self, mean: Tensor, components: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.double())
        self.register_buffer("components", components.double())

    def forward(self, scaled: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Windows [B, T, C] and which cells were observed -> the linear part [B, T, C], coordinates [B, K].

        Silent cells are filled in by turns (expectation-maximisation for PCA: Roweis, "EM Algorithms for PCA and
        SPCA", 1998, without refitting the components): a silent sensor must not pull its neighbours away.
        """
        if not len(self.components):  # a runtime has no need to multiply by nothing
            return self.mean.float().reshape(scaled.shape[1:]).expand(scaled.shape), scaled[:, 0, :0]
        cells, seen = scaled.flatten(1).double(), observed.flatten(1)
        filled = torch.where(seen, cells, self.mean)
        coordinates, linear = self._project(filled)
        for _ in range(FILLS):
            coordinates, linear = self._project(torch.where(seen, cells, linear))
        return linear.float().reshape(scaled.shape), coordinates.float()

    def rest(self, scaled: Tensor, observed: Tensor) -> Tensor:
        """What the linear part leaves of windows [B, T, C]; 0 where they were silent."""
        return torch.where(observed, scaled - self(scaled, observed)[0], 0.0)

    def _project(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        coordinates = (cells - self.mean) @ self.components.T
        return coordinates, self.mean + coordinates @ self.components


def fit_skip(scaled: Tensor, rank: int) -> LinearSkip:
    """The skip of at most `rank` components for normal windows [B, T, C], silent cells 0; of none, their mean.

    Through the eigenvectors of the smaller Gram side; at most half of D and of B - 1 components are kept, for more
    would rebuild noise as well.
    """
    cells = scaled.flatten(1).double()
    mean = cells.mean(dim=0)
    centred = cells - mean
    rank = min(rank, cells.shape[1] // 2, (len(cells) - 1) // 2)
    if not rank:
        return LinearSkip(mean, torch.zeros(0, cells.shape[1]))
    if cells.shape[1] <= len(cells):
        _, vectors = torch.linalg.eigh(centred.T @ centred)
        components = vectors[:, -rank:].T.flip(0)
    else:
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        components = (vectors[:, -rank:] / values[-rank:].clamp_min(1e-12).sqrt()).T.flip(0) @ centred
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return LinearSkip(mean, (components * largest.sign()).contiguous())


class Nothing(Autoencoder):
    """Adds nothing to the skip: the baseline `pca`."""

    def __init__(self, shape: Shape, training: Training) -> None:
        super().__init__()
        self.shape = shape

    def encode(self, residual: Tensor, observed: Tensor) -> Tensor:
        """[B, T, C] -> an empty code [B, 0]."""
        return residual[:, 0, :0]

    def decode(self, code: Tensor) -> Tensor:
        """[B, 0] -> one zero that spreads over all windows."""
        return torch.zeros(1, *self.shape)
