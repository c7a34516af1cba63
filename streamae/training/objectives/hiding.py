"""What is hidden of windows while a network is trained: cells, ticks, blocks of ticks, channels.

B windows, T ticks, C channels. Shares [B, 1, 1] are those of each window.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def cells(windows: Tensor, share: Tensor, by: Generator | None = None) -> Tensor:
    """A share of the cells, each by itself: [B, T, C]."""
    return torch.rand(windows.shape, generator=by) < share


def ticks(windows: Tensor, share: Tensor, by: Generator | None = None) -> Tensor:
    """A share of the ticks, in all channels."""
    hidden = torch.rand(windows.shape[0], windows.shape[1], 1, generator=by) < share
    return hidden.expand(windows.shape)


def blocks(windows: Tensor, share: Tensor, by: Generator | None = None) -> Tensor:
    """As many ticks in a row, elsewhere in each channel."""
    length = windows.shape[1]
    lasts = (share * length).round()
    first = (torch.rand(windows.shape[0], 1, windows.shape[2], generator=by) * (length - lasts + 1)).floor()
    tick = torch.arange(length).reshape(1, length, 1)
    return (tick >= first) & (tick < first + lasts)


def channels(windows: Tensor, share: Tensor, by: Generator | None = None) -> Tensor:
    """A share of the channels, from the first tick to the last; where there is one channel, a block of it."""
    if windows.shape[2] == 1:
        return blocks(windows, share, by)
    hidden = torch.rand(windows.shape[0], 1, windows.shape[2], generator=by) < share
    return hidden.expand(windows.shape)
