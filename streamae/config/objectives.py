"""What a network is trained towards: the objectives by name, and the parameters of each.

An objective times a backbone is a kind of autoencoder.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streamae.config.section import Count, Section, Share

Weight = Annotated[float, Meta(ge=0)]
Part = Annotated[float, Meta(ge=0, lt=1)]


class Undercomplete(Section, frozen=True, kw_only=True, tag_field="name", tag="undercomplete"):
    """Nothing but rebuilding, by way of a code smaller than the window."""


class Sparse(Section, frozen=True, kw_only=True, tag_field="name", tag="sparse"):
    """A wide code of which few units act."""

    by: Literal["kl", "l1"] = "kl"
    weight: Weight = 0.03
    target: Share = 0.05  # kl: the mean activation of a unit


class Contractive(Section, frozen=True, kw_only=True, tag_field="name", tag="contractive"):
    """A code that moves little when the window does."""

    weight: Weight = 0.01


class Denoising(Section, frozen=True, kw_only=True, tag_field="name", tag="denoising"):
    """The clean window from a corrupted one."""

    noise: Weight = 0.1  # standard deviation of Gaussian noise, in scales
    dropped: Part = 0.0  # share of the cells that are silenced
    blocked: Part = 0.0  # share of a channel's ticks that are silenced in one block


class Variational(Section, frozen=True, kw_only=True, tag_field="name", tag="variational"):
    """A code that is a distribution, near the standard normal one: it can be sampled."""

    weight: Weight = 1.0  # of the divergence from the prior
    warm_up: Part = 0.3  # share of the steps over which the weight rises from 0
    free_bits: Weight = 0.05  # nats that each number of the code may hold for nothing


class Conditional(Variational, frozen=True, kw_only=True, tag_field="name", tag="conditional"):
    """Variational, given the context channels: what is generated obeys them."""


class Adversarial(Section, frozen=True, kw_only=True, tag_field="name", tag="adversarial"):
    """A code that a discriminator cannot tell from the standard normal distribution: it can be sampled."""

    weight: Weight = 0.1  # of fooling the discriminator
    nodes: Count = 64  # of each of the discriminator's two layers


class Masked(Section, frozen=True, kw_only=True, tag_field="name", tag="masked"):
    """What is hidden from what is not."""

    share: Share = 0.3  # of the ticks, or channels, that are hidden
    hides: Annotated[tuple[Literal["ticks", "blocks", "channels"], ...], Meta(min_length=1)] = (
        "ticks",
        "blocks",
        "channels",
    )  # of which each window meets one


Objective = Undercomplete | Sparse | Contractive | Denoising | Variational | Conditional | Adversarial | Masked
ObjectiveName = Literal[
    "undercomplete", "sparse", "contractive", "denoising", "variational", "conditional", "adversarial", "masked"
]


def named(name: ObjectiveName) -> Objective:
    """An objective with its usual parameters."""
    objective: Objective = msgspec.convert({"name": name}, Objective)
    return objective
