"""Fitting: straight-line training of an autoencoder on top of the linear skip.

B windows, T ticks, C channels, M windows to draw from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from streamae.config import Training
from streamae.detection.artifact import Profiles
from streamae.training.autoencoders import Autoencoder, Shape, autoencoder
from streamae.training.autoencoders.skip import fit_skip
from streamae.training.graph import Graph, scale
from streamae.training.series import Pool

Progress = Callable[[int, int, float], None]  # step, of how many, loss on the held-out tail

LEARN_WINDOWS = 3_000  # that the skip is fitted to, and all that is learnt without gradients
HELD_OUT_WINDOWS = 512
CHECKS = 12  # of the held-out loss
WEIGHT_DECAY = 1e-4
LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.smooth_l1_loss,
}


@dataclass(frozen=True)
class Fitted:
    """A fitted graph, in evaluation mode, and how it came about."""

    graph: Graph
    steps: int  # that were taken
    best_step: int  # whose weights were kept; 0 is PCA
    losses: tuple[tuple[int, float], ...]  # (step, loss on the held-out tail)


@dataclass(frozen=True)
class FitWindows:
    """What is fitted on: windows to learn from, later ones to stop by, and the profiles of their series."""

    learn: Pool
    held_out: Pool
    profiles: Profiles

    def scaled(self, pool: Pool, which: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Tensor, Tensor]:
        """Some windows in scales [B, T, C], and which cells were observed."""
        profile = torch.from_numpy(self.profiles.table[pool.row[which]])
        return scale(torch.from_numpy(pool.windows(which)), profile)


def fit(windows: FitWindows, scored: Tensor, training: Training, progress: Progress | None = None) -> Fitted:
    """Fit the autoencoder that `training` names. The same seed and windows give the same weights.

    `scored` [C] is 0 for context channels. Starts at PCA (the output layer is zero) and keeps the weights that
    rebuild the held-out tail best, so that what comes out is never worse there than PCA.
    """
    with _reproducible(training.seed):
        shape = Shape(windows.learn.length, windows.learn.channels)
        graph = _start(windows, autoencoder(training.autoencoder)(shape, training), scored, training)
        if not any(True for _ in graph.parameters()):
            return Fitted(graph.eval(), 0, 0, ((0, _held_out_loss(graph, windows, training)),))
        return _train(graph, windows, training, progress or (lambda step, steps, loss: None))


def _start(windows: FitWindows, untrained: Autoencoder, scored: Tensor, training: Training) -> Graph:
    """The graph before any step of training: what is learnt without gradients, from some windows of all times."""
    scaled, observed = windows.scaled(windows.learn, windows.learn.spread(LEARN_WINDOWS))
    skip = fit_skip(scaled, training.skip_rank if untrained.on_skip else 0)
    untrained.learn(skip.rest(scaled, observed), observed)
    return Graph(skip, untrained, scored)


def _train(graph: Graph, windows: FitWindows, training: Training, progress: Progress) -> Fitted:
    optimizer = torch.optim.AdamW(graph.parameters(), lr=1e-3, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=training.learning_rate, total_steps=training.steps)
    draw = np.random.default_rng(training.seed)
    losses = [(0, _held_out_loss(graph, windows, training))]
    best, best_step = copy.deepcopy(graph.state_dict()), 0
    for step in range(1, training.steps + 1):
        graph.train()
        which = draw.integers(0, len(windows.learn), training.batch)
        loss = _loss(graph, windows.scaled(windows.learn, which), training, training.noise)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(graph.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % max(training.steps // CHECKS, 1) and step < training.steps:
            continue
        losses.append((step, _held_out_loss(graph, windows, training)))
        progress(step, training.steps, losses[-1][1])
        if losses[-1][1] <= min(loss for _, loss in losses):
            best, best_step = copy.deepcopy(graph.state_dict()), step
        if sum(at > best_step for at, _ in losses) >= training.patience:
            break
    graph.load_state_dict(best)
    return Fitted(graph.eval(), losses[-1][0], best_step, tuple(losses))


def _loss(graph: Graph, scaled: tuple[Tensor, Tensor], training: Training, noise: float = 0.0) -> Tensor:
    """Mean over the observed cells of the scored channels."""
    values, observed = scaled
    expected, _ = graph.expect(values, observed, noise)
    weight = observed * graph.scored
    each = LOSSES[training.loss](expected, values, reduction="none")
    return (each * weight).sum() / weight.sum().clamp_min(1)


def _held_out_loss(graph: Graph, windows: FitWindows, training: Training) -> float:
    pool = windows.held_out
    graph.eval()
    with torch.no_grad():
        return float(_loss(graph, windows.scaled(pool, pool.spread(HELD_OUT_WINDOWS)), training))


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """One thread, seeded, subnormal numbers as 0 (constant channels make many, and they are slow)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
