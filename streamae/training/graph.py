"""Graph: the whole function that is served, as a torch module. Nothing is done to a window outside of it.

    scale -> silence masked -> linear skip -> autoencoder on the rest -> squared errors -> channels in error units

B windows, T ticks, C channels, K numbers of an embedding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamae.training.autoencoders import Autoencoder
from streamae.training.autoencoders.skip import LinearSkip

FURTHEST = 1e4  # scales from the centre beyond which a value is not told apart: its square must stay finite
ALIGNED = 16  # float32 in the widest register of a CPU


class ChannelErrors(NamedTuple):
    """Mean squared errors of each channel over what was observed, before calibration; all [B, C]."""

    causal: Tensor  # the whole window and its newest half, 2 : 1
    settled: Tensor  # the whole window
    share: Tensor  # of its ticks that were observed


class Graph(nn.Module):
    """Windows less origin [B, T, C], NaN = silence, and profile [B, 3, C] -> error, settled_error, channel_error."""

    scored: Tensor  # [C] 1, or 0 for context channels
    settled_unit: Tensor  # [C] error unit of the settled error, as a multiple of the profile's

    def __init__(self, skip: LinearSkip, autoencoder: Autoencoder, scored: Tensor) -> None:
        super().__init__()
        self.skip = skip
        self.autoencoder = autoencoder
        self.register_buffer("scored", scored)
        self.register_buffer("settled_unit", torch.ones_like(scored))

    def forward(self, windows: Tensor, profile: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gives error [B], settled_error [B], channel_error [B, C]; 0 where nothing was observed."""
        return self.calibrated(self.channel_errors(windows, profile), profile)

    def channel_errors(self, windows: Tensor, profile: Tensor) -> ChannelErrors:
        """Errors of each channel in squared scales."""
        scaled, observed = scale(windows, profile)
        expected, _ = self.expect(scaled, observed)
        return mean_squares(expected - scaled, observed)

    def calibrated(self, errors: ChannelErrors, profile: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The outputs of the graph: channels in error units, each counting by how much of it was there."""
        unit = profile[:, 2]
        channel = self.scored * errors.causal / unit
        settled = self.scored * errors.settled / (unit * self.settled_unit)
        weight = errors.share * self.scored
        total = _sum(weight).clamp_min(1e-6)
        return _sum(channel * weight) / total, _sum(settled * weight) / total, channel

    def expect(self, scaled: Tensor, observed: Tensor, noise: float = 0.0) -> tuple[Tensor, Tensor]:
        """What normal windows would be in place of these: [B, T, C] in scales; and their embedding [B, K].

        `noise` is the standard deviation of what is added to the autoencoder's input, while fitting only.
        """
        linear, coordinates = self.skip(scaled, observed)
        rest = torch.where(observed, scaled - linear, 0.0)
        if noise:
            rest = rest + noise * torch.randn_like(rest)
        code = self.autoencoder.encode(rest, observed)
        return linear + self.autoencoder.decode(code), torch.cat([coordinates, code], dim=1)


class FullGraph(nn.Module):
    """The same inputs -> what Graph gives, reconstruction [B, T, C] in raw units less the origin, embedding [B, K].

    A window of zeros is computed beside: a runtime multiplies a batch of one by another method than a larger one, and
    an error must not depend, not even in its last bit, on the windows that happen to be beside its own.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.served = graph

    def forward(self, windows: Tensor, profile: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The embedding is the coordinates of a window in the skip, then its code."""
        windows = torch.cat([windows, torch.zeros(1, *windows.shape[1:])])
        profile = torch.cat([profile, torch.ones(1, *profile.shape[1:])])
        scaled, observed = scale(windows, profile)
        expected, embedding = self.served.expect(scaled, observed)
        error, settled, channel = self.served.calibrated(mean_squares(expected - scaled, observed), profile)
        reconstruction = expected * profile[:, 1:2] + profile[:, 0:1]
        return error[:-1], settled[:-1], channel[:-1], reconstruction[:-1], embedding[:-1]


def mean_squares(difference: Tensor, observed: Tensor) -> ChannelErrors:
    """Errors of each channel from what is off in each cell [B, T, C]; silent cells take no part."""
    seen = observed.float()
    squares = difference.square() * seen
    whole = squares.sum(dim=1) / seen.sum(dim=1).clamp_min(1)
    half = seen.shape[1] // 2
    newest = seen[:, -half:].sum(dim=1)
    recent = torch.where(newest > 0, squares[:, -half:].sum(dim=1) / newest.clamp_min(1), whole)
    return ChannelErrors((2 * whole + recent) / 3, whole, seen.mean(dim=1))


def scale(windows: Tensor, profile: Tensor) -> tuple[Tensor, Tensor]:
    """Windows in scales from their centre, silence as 0: [B, T, C]; and which cells were observed."""
    observed = ~torch.isnan(windows)
    scaled = ((windows - profile[:, 0:1]) / profile[:, 1:2]).clamp(-FURTHEST, FURTHEST)
    return torch.where(observed, scaled, 0.0), observed


def _sum(rows: Tensor) -> Tensor:
    """The sum of each row: [B] of [B, C]. Rows are padded so that each starts aligned in memory.

    The runtime sums an unaligned row in another order, so that an error would depend on the place of its window in a
    batch, in the last bit; and a replay cuts batches elsewhere.
    """
    return functional.pad(rows, (0, -rows.shape[1] % ALIGNED)).sum(dim=1)
