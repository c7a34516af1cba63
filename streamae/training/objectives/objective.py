"""What an objective is.

It says what the network is given, what its loss is, and what the encoder's numbers make of a code. Only the
last is part of the graph that is served.

B windows, T ticks, R rows of all views, C channels, K numbers in a code, N numbers that an encoder gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from streamae.training.views import FURTHEST, look, places

if TYPE_CHECKING:
    from streamae.training.autoencoders import Shape
    from streamae.training.autoencoders.network import Network

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.smooth_l1_loss,
}


@dataclass(frozen=True)
class Batch:
    """Normal windows that a step of training draws, or that a loss is taken of."""

    windows: Tensor  # [B, T, C] in scales from the centre, 0 where silent
    observed: Tensor  # [B, T, C]
    scored: Tensor  # [C] 1, or 0 for context channels
    loss: Literal["mse", "mae", "huber"] = "mse"
    progress: float = 1.0  # of the training: from 0 to 1
    held_out: bool = False  # not learnt from: its loss says when to stop, and must be the same every time

    @cached_property
    def rows(self) -> Tensor:
        """What all views show of it [B, R, C]."""
        return self._looked[0]

    @cached_property
    def seen(self) -> Tensor:
        """Which of their cells were observed [B, R, C]."""
        return self._looked[1]

    def error(self, expected: Tensor, counted: Tensor | None = None) -> Tensor:
        """The mean over views of the mean over cells of scored channels that were observed, and are `counted`."""
        weight = (self.seen if counted is None else self.seen & counted) * self.scored
        aim = self.rows.clamp(-FURTHEST, FURTHEST)
        off = LOSSES[self.loss](expected, aim, reduction="none") * weight
        views = places(self.windows.shape[1])
        return torch.stack([off[:, view].sum() / weight[:, view].sum().clamp_min(1) for view in views]).mean()

    @cached_property
    def _looked(self) -> tuple[Tensor, Tensor]:
        return look(self.windows, self.observed)


class Objective:
    """What a network is trained towards; without more, to rebuild what it is given."""

    told: ClassVar[bool] = False  # whether the network is told which cells were observed
    given_context: ClassVar[bool] = False  # whether the decoder sees the context channels
    generates: ClassVar[bool] = False  # whether the code is distributed like standard normal numbers
    numbers: ClassVar[int] = 1  # that the encoder gives for each number of the code
    restless: ClassVar[float] = 0.0  # share of the steps over which its loss may rise before it falls

    def check(self, shape: Shape, code: int) -> None:
        """Raise ConfigError where it makes no sense for windows of this shape, or a code of this size."""
        return

    def code(self, numbers: Tensor) -> Tensor:
        """What the encoder gives [B, N] -> code [B, K]; the same every time."""
        return numbers

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """What training makes small: a scalar."""
        return batch.error(network(batch.rows, batch.seen)[0])

    def facts(self, network: Network, batch: Batch) -> dict[str, float]:
        """What a fitted network's code came to on windows that it was not fitted on, for the report."""
        return {}
