"""The autoencoders by name, and what one has to be.

An autoencoder sees the rows of all views of a window and rebuilds what it can of them, by way of a code that is too
small for anything but what is normal. Each is an entry point of the group `streamae.autoencoders`, in this package or
another: a function of a Shape and the config's Training section.

B windows, R rows, C channels, K numbers in a code, M windows to learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from streamae.config import AUTOENCODERS, LINEAR, MEMORY, Training
from streamae.training.objectives.objective import Batch
from streamae.training.views import FURTHEST


class Shape(NamedTuple):
    """The shape of what is rebuilt: R rows, C channels, and which of these are context."""

    rows: int
    channels: int
    context: tuple[int, ...] = ()


class Part(nn.Module):
    """What of a graph rebuilds scaled rows [B, R, C], 0 where silent, and says where it has put them [B, K]."""

    say: float = 1.0  # how much its errors count beside those of other parts
    restless: float = 0.0  # share of the steps of training over which no lack of gain counts

    def forward(self, rows: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [B, R, C] and which cells were observed -> what is expected in their place, and the code [B, K]."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> Tensor:
        """What training makes small; without more, the error of what is expected."""
        return batch.error(self(batch.rows, batch.seen)[0])

    def facts(self, batch: Batch) -> dict[str, float]:
        """What is to be known of its code, by windows that it was not fitted on."""
        return {}


class Autoencoder(Part):
    """Rebuilds scaled rows [B, R, C] by way of a code [B, K]."""

    beside: ClassVar[tuple[str, ...]] = (LINEAR, MEMORY)  # the parts without weights to train that stand beside it
    say: float = 0.5  # of what it does not rebuild, more is noise than of what they do not

    def learn(self, rows: Tensor, seen: Tensor, places: Sequence[slice]) -> None:
        """Take what is learnt without gradients from normal windows' rows [M, R, C], before any step of training.

        `places` are the rows of each view.
        """
        return

    def encode(self, rows: Tensor, seen: Tensor) -> Tensor:
        """Rows [B, R, C], 0 where silent, and which of their cells were observed -> code [B, K]."""
        raise NotImplementedError

    def decode(self, code: Tensor) -> Tensor:
        """Code [B, K] -> rows [B, R, C]; all zero before training."""
        raise NotImplementedError

    def forward(self, rows: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [B, R, C] and which cells were observed -> what is expected in their place, and the code [B, K]."""
        code = self.encode(rows.clamp(-FURTHEST, FURTHEST), seen)
        return self.decode(code), code


Build = Callable[[Shape, Training], Autoencoder | None]


def autoencoder(name: str) -> Build:
    """The function that builds the autoencoder called `name`, which config has found to be installed.

    It gives None where the linear part alone is meant.
    """
    (point,) = entry_points(group=AUTOENCODERS, name=name)
    build: Build = point.load()
    return build
