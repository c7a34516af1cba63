"""Fitting: what is learnt without gradients, then straight-line training of an autoencoder.

B windows, T ticks, C channels, R rows of all views, M windows to draw from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from streamae.config import LINEAR, MEMORY, Training
from streamae.detection.artifact import Profiles
from streamae.training.autoencoders import Autoencoder, Part, Shape, autoencoder
from streamae.training.autoencoders.linear import Linear, fit_linear
from streamae.training.autoencoders.memory import Memory
from streamae.training.graph import Graph, scale
from streamae.training.objectives.objective import Batch
from streamae.training.series import Pool
from streamae.training.views import FURTHEST, look, places

Progress = Callable[[int, int, float], None]  # step, of how many, loss on the held-out tail

LEARN_WINDOWS = 3_000  # from which is learnt what is learnt without gradients
HELD_OUT_WINDOWS = 512
COMPARED = 1_000  # from which PCA of the size of the code is learnt, to compare with
CHECKS = 12  # of the held-out loss
WEIGHT_DECAY = 1e-4


@dataclass(frozen=True)
class Fitted:
    """A fitted graph, in evaluation mode, and how it came about."""

    graph: Graph
    steps: int  # that were taken
    best_step: int  # whose weights were kept
    losses: tuple[tuple[int, float], ...]  # (step, loss on the held-out tail)
    facts: dict[str, float] = field(default_factory=dict)  # what an objective says of its code


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


def fit(
    windows: FitWindows,
    scored: Tensor,
    training: Training,
    progress: Progress | None = None,
    before: Graph | None = None,
) -> Fitted:
    """Fit the autoencoder that `training` names. The same seed and windows give the same weights.

    `scored` [C] is 0 for context channels. The weights that rebuild the held-out tail best are kept. Training goes on
    from the weights of a graph that was fitted `before`, where one is given.
    """
    with reproducible(training.seed):
        context = tuple(np.flatnonzero(scored == 0).tolist())
        shape = Shape(places(windows.learn.length)[-1].stop, windows.learn.channels, context)
        graph = _start(windows, autoencoder(training.autoencoder)(shape, training), scored, training)
        if not any(True for _ in graph.parameters()):
            return Fitted(graph.eval(), 0, 0, ((0, _held_out_loss(graph, windows, training)),))
        if before is not None:
            graph.parts[-1].load_state_dict(before.parts[-1].state_dict())
        return _train(graph, windows, training, progress or (lambda step, steps, loss: None))


def _start(windows: FitWindows, untrained: Autoencoder | None, scored: Tensor, training: Training) -> Graph:
    """The graph before any step of training: what is learnt without gradients, from some windows of all times."""
    rows, seen = look(*windows.scaled(windows.learn, windows.learn.spread(LEARN_WINDOWS)))
    length = windows.learn.length
    return Graph(parts(rows, seen, untrained, training, places(length)), length, scored)


def parts(
    rows: Tensor, seen: Tensor, untrained: Autoencoder | None, training: Training, views: Sequence[slice]
) -> list[Part]:
    """What stands beside an autoencoder, then itself; learnt from rows of windows [M, R, C] as far as that is possible.

    Without one, it is the linear part.
    """
    beside = (LINEAR,) if untrained is None else untrained.beside
    found: list[Part] = [fit_linear(rows, training.rank, views)] if LINEAR in beside else []
    learning: list[Autoencoder] = [Memory(Shape(*rows.shape[1:]), training)] if MEMORY in beside else []
    learning += [untrained] if untrained else []
    near = rows.clamp(-FURTHEST, FURTHEST)
    for part in learning:
        part.learn(near, seen, views)
    return [*found, *learning]


def _train(graph: Graph, windows: FitWindows, training: Training, progress: Progress) -> Fitted:
    optimizer = torch.optim.AdamW(graph.parameters(), lr=1e-3, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=training.learning_rate, total_steps=training.steps)
    draw = np.random.default_rng(training.seed)
    losses = [(0, _held_out_loss(graph, windows, training))]
    best, best_step, calm = copy.deepcopy(graph.state_dict()), 0, _last(graph).restless * training.steps
    for step in range(1, training.steps + 1):
        graph.train()
        which = draw.integers(0, len(windows.learn), training.batch)
        drawn = Batch(*windows.scaled(windows.learn, which), graph.scored, training.loss, step / training.steps)
        loss = _last(graph).loss(drawn)
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
        if sum(at > max(best_step, calm) for at, _ in losses) >= training.patience:
            break
    graph.load_state_dict(best)
    return Fitted(graph.eval(), losses[-1][0], best_step, tuple(losses), _facts(graph, windows, training))


def _last(graph: Graph) -> Part:
    """The part that is trained."""
    last = graph.parts[-1]
    assert isinstance(last, Part)  # noqa: S101
    return last


def _held_out(graph: Graph, windows: FitWindows, training: Training) -> Batch:
    pool = windows.held_out
    return Batch(*windows.scaled(pool, pool.spread(HELD_OUT_WINDOWS)), graph.scored, training.loss, held_out=True)


def _held_out_loss(graph: Graph, windows: FitWindows, training: Training) -> float:
    graph.eval()
    with torch.no_grad():
        return float(_last(graph).loss(_held_out(graph, windows, training)))


def pca_of_size(windows: FitWindows, code: int) -> Linear:
    """PCA of all rows at once with as many numbers as a code, to compare with."""
    rows, _ = look(*windows.scaled(windows.learn, windows.learn.spread(COMPARED)))
    return fit_linear(rows.clamp(-FURTHEST, FURTHEST), code, [slice(0, rows.shape[1])])


def _facts(graph: Graph, windows: FitWindows, training: Training) -> dict[str, float]:
    """What an objective says of the code; how well windows are rebuilt by way of it, and by PCA of the same size."""
    pca = pca_of_size(windows, training.code)
    batch, last = _held_out(graph, windows, training), _last(graph.eval())
    with torch.no_grad():
        errors = [float(batch.error(part(batch.rows, batch.seen)[0])) for part in (last, pca)]
        return {**last.facts(batch), "error": errors[0], "pca_error": errors[1]}


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """One thread, seeded, subnormal numbers as 0 (constant channels make many, and they are slow).

    Several threads add up as they come.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        with torch.random.fork_rng(devices=[]), threadpool_limits(limits=1):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
