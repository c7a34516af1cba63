"""The load: a fleet's readings, written onto a topic before anything is measured, and the windows they must give.

Series start staggered, one tick after another, so that their windows do not all close at once.
Letters: S series, C channels, K ticks of one series.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamae.detection.windows import phase
from streamae.simulation.pumps import CHANNELS, HOUR_MS, SimulationSpec, healthy

STAGGER = 16  # ticks over which series start
CADENCE_MS = 60_000
LEARN = 3 * 1440  # ticks of history that the model is trained on
WITHIN_MS = 20_000  # where in its tick a reading was measured


class Load(NamedTuple):
    """So many series of so many channels, each with so many ticks; `begin` is the first tick, from the epoch."""

    series: int
    channels: int
    ticks: int
    begin: int

    @property
    def readings(self) -> int:
        """How many readings that are."""
        return self.series * self.ticks

    @property
    def names(self) -> list[str]:
        """The series."""
        return [f"pump-{number:05}" for number in range(self.series)]

    @property
    def channel_names(self) -> list[str]:
        """The channels."""
        return [f"channel-{number}" for number in range(self.channels)]

    def windows(self, length: int, stride: int) -> int:
        """How many windows of these readings event time closes, those that begin before a series' first among them."""
        count = 0
        for number, name in enumerate(self.names):
            own, first = phase(name, stride), self.begin + number % STAGGER
            before, after = ((tick - length - own) // stride for tick in (first, first + self.ticks - 1))
            count += after - before
        return count


def healthy_values(load: Load) -> NDArray[np.float64]:
    """What one thing's channels do over history and live time: [ticks, C]. All series repeat stretches of it."""
    pumps = -(-load.channels // len(CHANNELS))
    spec = SimulationSpec(seed=0, end_ms=0, series=pumps)
    hours = np.arange(2 * LEARN + load.ticks) * CADENCE_MS / HOUR_MS
    values = healthy(spec, hours, np.random.default_rng(0))  # [ticks, pumps, channels of a pump]
    return np.asarray(values.reshape(len(hours), -1)[:, : load.channels].round(4))


def starts(load: Load, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where in `values` each series begins [S]; none of it was trained on."""
    return LEARN + np.arange(load.series) * 7 % (len(values) - LEARN - load.ticks + 1)


def records(load: Load) -> Iterator[tuple[int, bytes, bytes, int]]:
    """Every reading as (number of its series, key, JSON, event time in ms), tick by tick."""
    values = healthy_values(load)
    row, keys = starts(load, values).tolist(), [name.encode() for name in load.names]
    bodies = [_body(load, one) for one in values.tolist()]
    for tick in range(load.ticks + STAGGER):
        at = (load.begin + tick) * CADENCE_MS + WITHIN_MS
        head = b'{"time":%d,' % at
        for number in range(load.series):
            own = tick - number % STAGGER
            if 0 <= own < load.ticks:
                yield number, keys[number], head + bodies[row[number] + own], at


def _body(load: Load, values: list[float]) -> bytes:
    """The channels' part of a record."""
    return msgspec.json.encode(dict(zip(load.channel_names, values, strict=True)))[1:]
