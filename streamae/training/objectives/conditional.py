"""Conditional variational: variational, given the context channels.

    -log p(x | c) <= D / 2 log(|x - g(z, c)|^2 / D) + KL(q(z | x, c) || N(0, 1))

Sohn et al., "Learning Structured Output Representation using Deep Conditional Generative Models" (2015), eq. 4, with a
prior that does not depend on the context. Encoder and decoder both see the context, so that the code holds what it does
not say.
"""

from __future__ import annotations

from streamae.training.objectives.variational import Variational


class Conditional(Variational):
    """Rebuilds by way of a sample of its code, and of the context."""

    given_context = True
