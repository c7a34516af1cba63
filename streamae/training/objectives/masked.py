"""Masked: what is hidden from what is not. The network is told what it does not see.

    L = |h * (x - g(f((1 - h) * x, 1 - h)))|^2     h: what is hidden

He et al., "Masked Autoencoders Are Scalable Vision Learners" (2022). In series, what is missing are points, blocks and
whole channels, so these are hidden (points alone in Du et al., "SAITS", 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from streamae.config import objectives
from streamae.training.objectives import hiding
from streamae.training.objectives.objective import Batch, Objective
from streamae.training.views import look

if TYPE_CHECKING:
    from streamae.training.autoencoders.network import Network

HIDE: dict[str, Callable[[Tensor, Tensor, Generator | None], Tensor]] = {
    "ticks": hiding.ticks,
    "blocks": hiding.blocks,
    "channels": hiding.channels,
}
MOST = 0.9  # of a window
SEED = 0  # of what is hidden of held-out windows


class Masked(Objective):
    """Fills what is hidden."""

    told = True

    def __init__(self, parameters: objectives.Masked) -> None:
        self._share, self._hides = parameters.share, parameters.hides

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The error of what is hidden; a row of which some ticks are still seen is not."""
        by = torch.Generator().manual_seed(SEED) if batch.held_out else None
        left = batch.observed & ~self.hide(batch.windows, by)
        rows, seen = look(batch.windows * left, left)
        return batch.error(network(rows, seen)[0], ~seen)

    def hide(self, windows: Tensor, by: Generator | None = None) -> Tensor:
        """What is hidden of each window [B, T, C]: between nothing and twice the usual share, in one of the ways."""
        share = (2 * self._share * torch.rand(len(windows), 1, 1, generator=by)).clamp_max(MOST)
        way = torch.randint(len(self._hides), (len(windows), 1, 1), generator=by)
        hidden = torch.stack([HIDE[name](windows, share, by) for name in self._hides])
        return hidden.gather(0, way.expand(windows.shape).unsqueeze(0))[0]
