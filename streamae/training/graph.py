"""Graph: the whole function that is served, as a torch module. Nothing is done to a window outside of it.

    scale -> silence masked -> views -> rebuilt by each part -> squared errors -> error units -> one error

A part rebuilds the rows of all views by itself: PCA, a memory, a network. A part at a view is an aspect: what one of
them misses, another may see. Each has error units of its own, so that they speak one language, and has a say.

B windows, T ticks, C channels, R rows of all views, P parts, A aspects, G groups of rows, K numbers of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamae.training.autoencoders import Part
from streamae.training.autoencoders.network import Network
from streamae.training.views import cut, look, places, show

FURTHEST = 1e4  # scales from the centre beyond which a value is not told apart: its square must stay finite
LOUD = 16.0  # times the square of the mean root: from there on, what counts is the mean
ALIGNED = 16  # float32 in the widest register of a CPU


class ChannelErrors(NamedTuple):
    """Mean squared errors of each channel over what was observed, before calibration; all [B, A, C]."""

    causal: Tensor  # all rows of the view and its newest half, 2 : 1
    settled: Tensor  # all rows of the view
    share: Tensor  # of its rows that were observed


class Graph(nn.Module):
    """Windows less origin [B, T, C], NaN = silence, and profile [B, 3, C] -> error, settled_error, channel_error."""

    scored: Tensor  # [C] 1, or 0 for context channels
    unit: Tensor  # [A, C] error unit of each aspect, as a multiple of the profile's
    settled_unit: Tensor  # [A, C] the same of the settled error
    say: Tensor  # [A] how much each aspect counts: as its part
    groups: Tensor  # [G, R] of rows that are averaged

    def __init__(self, parts: Sequence[Part], length: int, scored: Tensor) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.length = length
        self.register_buffer("scored", scored)
        self.register_buffer("groups", _groups(length))
        say = torch.tensor([part.say for part in parts]).repeat_interleave(len(self.groups) // 2)
        self.register_buffer("say", say)
        self.register_buffer("unit", torch.ones(len(say), len(scored)))
        self.register_buffer("settled_unit", torch.ones(len(say), len(scored)))

    def forward(self, windows: Tensor, profile: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gives error [B], settled_error [B], channel_error [B, C]; 0 where nothing was observed."""
        return self.calibrated(self.channel_errors(windows, profile), profile)

    def channel_errors(self, windows: Tensor, profile: Tensor) -> ChannelErrors:
        """Errors of each channel in squared scales."""
        rows, seen = look(*scale(windows, profile))
        return self.off([part(rows, seen)[0] for part in self.parts], rows, seen)

    def off(self, expected: Sequence[Tensor], rows: Tensor, seen: Tensor) -> ChannelErrors:
        """How far rows [B, R, C] are off what each part expects of them; silent cells take no part."""
        there = seen.float()
        squares = torch.stack([(one - rows).square() * there for one in expected], dim=1)  # [B, P, R, C]
        counted = (self.groups @ there).unsqueeze(1)  # [B, 1, G, C]
        means = (self.groups @ squares) / counted.clamp_min(1)
        halves = [len(self.groups) // 2] * 2
        whole, newest = cut(means, halves, dim=2)
        counted_whole, counted_newest = cut(counted, halves, dim=2)
        recent = torch.where(counted_newest > 0, newest, whole)
        share = (counted_whole / cut(self.groups, halves, dim=0)[0].sum(dim=1, keepdim=True)).expand(whole.shape)
        return ChannelErrors(*(one.flatten(1, 2) for one in ((2 * whole + recent) / 3, whole, share)))

    def calibrated(self, errors: ChannelErrors, profile: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The outputs of the graph: channels in error units, each counting by how much of it was there."""
        unit = profile.narrow(1, 2, 1)
        weight = errors.share * self.scored
        causal = self.scored * errors.causal / (unit * self.unit)
        settled = self.scored * errors.settled / (unit * self.settled_unit)
        heard = (errors.share > 0) * self.say.unsqueeze(1)
        error, settled_error = (_over_channels(one, weight, self.say) for one in (causal, settled))
        return error, settled_error, _joined(causal, heard)


class FullGraph(nn.Module):
    """The same inputs -> what Graph gives, reconstruction [B, T, C] in raw units less the origin, embedding [B, K].

    A window of zeros is computed beside: a runtime multiplies a batch of one by another method than a larger one, and
    an error must not depend, not even in its last bit, on the windows that happen to be beside its own.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.served = graph

    def forward(self, windows: Tensor, profile: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Reconstruction and embedding are the last part's."""
        windows = torch.cat([windows, torch.zeros(1, *windows.shape[1:])])
        profile = torch.cat([profile, torch.ones(1, *profile.shape[1:])])
        rows, seen = look(*scale(windows, profile))
        expected, codes = zip(*(part(rows, seen) for part in self.served.parts), strict=True)
        error, settled, channel = self.served.calibrated(self.served.off(expected, rows, seen), profile)
        shown = show(expected[-1], self.served.length).expand(windows.shape)
        centre, spread, _ = cut(profile, [1, 1, 1], dim=1)
        reconstruction = shown * spread + centre
        return error[:-1], settled[:-1], channel[:-1], reconstruction[:-1], codes[-1][:-1]


class DecoderGraph(nn.Module):
    """What a network makes of codes: it generates where they are samples of the prior."""

    def __init__(self, network: Network, length: int) -> None:
        super().__init__()
        self.network, self.length = network, length

    def forward(self, code: Tensor, profile: Tensor, context: Tensor | None = None) -> Tensor:
        """Code [B, K], profile [B, 3, C], context [B, T, Q] where there is any -> reconstruction [B, T, C].

        The last two are in raw units less the origin. A window of zeros is computed beside, as in FullGraph.
        """
        code = torch.cat([code, torch.zeros(1, *code.shape[1:])])
        profile = torch.cat([profile, torch.ones(1, *profile.shape[1:])])
        given = None
        if context is not None:
            context = torch.cat([context, torch.zeros(1, *context.shape[1:])])
            given, _ = look(*scale(context, profile[:, :, self.network.conditions]))
        shown = show(self.network.decode(code, given), self.length)
        centre, spread, _ = cut(profile, [1, 1, 1], dim=1)
        return (shown * spread + centre)[:-1]


def scale(windows: Tensor, profile: Tensor) -> tuple[Tensor, Tensor]:
    """Windows in scales from their centre, silence as 0: [B, T, C]; and which cells were observed."""
    observed = ~torch.isnan(windows)
    centre, spread, _ = cut(profile, [1, 1, 1], dim=1)
    scaled = ((windows - centre) / spread).clamp(-FURTHEST, FURTHEST)
    return torch.where(observed, scaled, 0.0), observed


def _groups(length: int) -> Tensor:
    """Which rows are averaged: [G, R] of those of each view, then of the newest half of each."""
    groups = torch.zeros(2 * len(places(length)), places(length)[-1].stop)
    for view, place in enumerate(places(length)):
        groups[view, place] = 1
        groups[len(groups) // 2 + view, (place.start + place.stop + 1) // 2 : place.stop] = 1
    return groups


def _over_channels(errors: Tensor, weight: Tensor, say: Tensor) -> Tensor:
    """One error [B] of the errors of channels in each aspect [B, A, C], which count by `weight`, and aspects by `say`.

    In an aspect, the square of the mean root: one channel that is far off must not drown what the others say. But it
    must not be outvoted either, however many they are: the mean counts where it is LOUD times as large.
    """
    total = _sum(weight).clamp_min(1e-6)
    root = _sum(weight * errors.sqrt()) / total
    loudest = _sum(weight * errors) / total / LOUD
    return _joined(torch.maximum(root.square(), loudest), (_sum(weight) > 0) * say)


def _joined(errors: Tensor, heard: Tensor) -> Tensor:
    """One error of those of the aspects [B, A, ...], as each is `heard`: the geometric mean of 1 + error, less 1.

    In float64, for of small errors little is left when 1 is taken away again.
    """
    counts = heard.double()
    total = _sum((errors.double().log1p() * counts).movedim(1, -1))
    logs = total / _sum(counts.movedim(1, -1)).clamp_min(1e-6)
    return logs.expm1().float()


def _sum(rows: Tensor) -> Tensor:
    """The sum over the last dimension. Rows are padded so that each starts aligned in memory.

    The runtime sums an unaligned row in another order, so that an error would depend on the place of its window in a
    batch, in the last bit; and a replay cuts batches elsewhere.
    """
    return functional.pad(rows, (0, -rows.shape[-1] % ALIGNED)).sum(dim=-1)
