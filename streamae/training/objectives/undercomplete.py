"""Undercomplete: a code smaller than the window, so that only what is usual fits through it.

    L = |x - g(f(x))|^2

Rumelhart, Hinton and Williams, "Learning Internal Representations by Error Propagation" (1986), the encoder problem.
Where encoder and decoder are linear, it spans the same subspace as PCA of the same code size (Baldi and Hornik, "Neural
Networks and Principal Component Analysis", 1989).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamae.config import objectives
from streamae.errors import ConfigError
from streamae.training.objectives.objective import Objective

if TYPE_CHECKING:
    from streamae.training.autoencoders import Shape


class Undercomplete(Objective):
    """Rebuilds what it is given."""

    def __init__(self, parameters: objectives.Undercomplete) -> None:
        return

    def check(self, shape: Shape, code: int) -> None:
        """Raise ConfigError where the code is no smaller than the window."""
        cells = shape.rows * shape.channels
        if code >= cells:
            raise ConfigError(
                f"$.training.code: {code} numbers for the {cells} that a network sees of a window: that is no smaller, "
                "so that it could rebuild anything; choose a smaller code, or another $.training.objective"
            )
