"""Zooms: some channels of a series around a time, measured and as the model expected them. T ticks, C channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamae.history.past import Past
from streamae.history.plots import Zoomed
from streamae.history.stored import Cuts
from streamae.training.matching import Event


def around(past: Past, cuts: Cuts, time: Event, names: Sequence[str]) -> Zoomed:
    """These channels from a window before a time of a series until one after it."""
    manifest, window = past.manifest, past.manifest.window
    first = (time.start - window.length_ms) // window.cadence_ms
    count = -(-(time.end - time.start + 2 * window.length_ms) // window.length_ms)
    values = cuts.window(time.series, first * window.cadence_ms, count * window.length)
    blocks = values.reshape(count, window.length, -1)
    expected = past.scorer.reconstruct(blocks, [time.series] * count).reshape(values.shape)
    index = {channel.name: at for at, channel in enumerate(manifest.channels)}
    chosen = [index[name] for name in names]
    origin = np.array([manifest.channels[at].origin for at in chosen])
    expected = np.where(np.isnan(blocks).all(axis=(1, 2)).repeat(window.length)[:, None], np.nan, expected)
    ticks = (first + np.arange(len(values))) * window.cadence_ms
    return Zoomed(ticks, values[:, chosen] + origin, expected[:, chosen] + origin, tuple(names))
