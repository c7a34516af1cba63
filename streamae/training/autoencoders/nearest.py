"""What normal windows were most alike: the baselines `kmeans` and `neighbours`.

Both keep a bank of normal windows and expect of a window the mean of those in the bank that are nearest. Nearest is a
choice, and a choice must not fall otherwise because a runtime sums in another order. So distances are exact: values
are put on a grid on which every product and every sum of products is a whole number that float64 holds; and windows
that are equally near, as those of switches are, share.

B windows, R rows, C channels, D = R * C, N windows in the bank, M windows to learn from.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from streamae.config import Training
from streamae.training.autoencoders import Autoencoder, Shape
from streamae.training.series import evenly

STEPS = 2.0**10  # of the grid in a scale
FURTHEST = 2.0**6  # scales beyond which a distance grows no more: 3 D (STEPS * FURTHEST)^2 < 2^53 up to D = 699,050
CENTROIDS = 20
STARTS = 2  # of k-means, of which the better is kept
BANK = 500
NEIGHBOURS = 3


class Nearest(Autoencoder):
    """Rebuilds a window as the mean of the `count` windows in its bank that are nearest where it was observed.

    Before it has learnt it expects every channel at its centre.
    """

    beside = ()
    count: ClassVar[int]
    bank: Tensor  # [N, D]

    def __init__(self, shape: Shape, training: Training) -> None:
        super().__init__()
        self.shape = shape
        self.seed = training.seed
        self.register_buffer("bank", torch.zeros(1, shape.rows * shape.channels))

    def encode(self, rows: Tensor, seen: Tensor) -> Tensor:
        """[B, R, C] -> [B, N]: the weight of each window in the bank; the nearest share, and ties with the last."""
        return shares(squared_distances(rows.flatten(1), seen.flatten(1), self.bank), self.count).float()

    def decode(self, code: Tensor) -> Tensor:
        """[B, N] -> [B, R, C]."""
        return (code @ self.bank).reshape(-1, self.shape.rows, self.shape.channels)


class KMeans(Nearest):
    """The nearest centroid of normal windows: `kmeans`.

    After Lloyd, "Least Squares Quantization in PCM" (1982).
    """

    count = 1

    def learn(self, rows: Tensor, seen: Tensor, places: Sequence[slice]) -> None:
        """Cluster the windows [M, R, C]; a centroid is the mean of what was observed of its windows."""
        cells, there = rows.flatten(1), seen.flatten(1).float()
        cluster = _clusters(cells, min(CENTROIDS, len(cells)), self.seed)
        member = torch.eye(int(cluster.max()) + 1)[:, cluster]  # [N, M]
        self.bank = (member @ (cells * there)) / (member @ there).clamp_min(1)


class Neighbours(Nearest):
    """The nearest normal windows themselves: `neighbours`.

    After Ramaswamy et al., "Efficient Algorithms for Mining Outliers from Large Data Sets" (2000), but for what is
    measured: how far a window is from their mean.
    """

    count = NEIGHBOURS

    def learn(self, rows: Tensor, seen: Tensor, places: Sequence[slice]) -> None:
        """Keep some of the windows [M, R, C], evenly over all; where they were silent, the centre."""
        self.bank = torch.where(seen, rows, 0.0).flatten(1)[evenly(len(rows), BANK)]


def shares(distances: Tensor, count: int) -> Tensor:
    """What each window of a bank counts for, by distances [B, N]: the `count` nearest share, and ties with the last."""
    furthest = distances.topk(min(count, distances.shape[1]), dim=1, largest=False).values.amax(dim=1, keepdim=True)
    near = (distances <= furthest).double()
    return near / near.sum(dim=1, keepdim=True)


def squared_distances(cells: Tensor, seen: Tensor, bank: Tensor) -> Tensor:
    """Of windows [B, D] to those of the bank [N, D] over the cells that were seen, less what is the same for all.

    [B, N] whole numbers, in steps of the grid squared: the same whatever the order of summation.
    """
    place, known, there = on_grid(cells, FURTHEST), on_grid(bank, FURTHEST), seen.double()
    return torch.cat([place * there, there], dim=1) @ torch.cat([-2 * known, known.square()], dim=1).T


def on_grid(cells: Tensor, furthest: float) -> Tensor:
    """Whole numbers of the grid's steps, in float64; beyond `furthest` scales they do not grow."""
    return (cells.double().clamp(-furthest, furthest) * STEPS).round()


def _clusters(cells: Tensor, count: int, seed: int) -> Tensor:
    """The cluster of each window [M], none of them empty."""
    from sklearn.cluster import KMeans as Lloyd
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different windows than clusters
        labels = Lloyd(count, n_init=STARTS, random_state=seed).fit(cells.numpy()).labels_
    return torch.from_numpy(np.unique(labels, return_inverse=True)[1])
