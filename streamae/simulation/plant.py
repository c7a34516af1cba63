"""The simulated plant: history, live readings and faults, and how they become records, frames and a config.

Letters: K ticks, S series, C channels, N readings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamae.errors import MissingExtra
from streamae.simulation.faults import Fault, plan, spoil
from streamae.simulation.pumps import CHANNELS, HOUR_MS, Floats, SimulationSpec, healthy, silent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Columns:
    """Readings of the fleet in the order of their arrival; NaN where a sensor was silent."""

    names: tuple[str, ...]  # [S]
    series: NDArray[np.int32]  # [N] index into names
    time: NDArray[np.int64]  # [N] event time, ms since the epoch
    values: Floats  # [N, C]

    def __len__(self) -> int:
        return len(self.time)

    def frame(self) -> pd.DataFrame:
        """The same for pandas: `series`, `time` (UTC), a column a channel. Raises MissingExtra without pandas."""
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("frames need pandas: pip install 'streamae[train]'") from error
        series = np.array(self.names, dtype=object)[self.series]
        time = pd.to_datetime(self.time, unit="ms", utc=True)
        return pd.DataFrame({"series": series, "time": time, **dict(zip(CHANNELS, self.values.T, strict=True))})


@dataclass(frozen=True)
class Plant:
    """A fault-free history to learn from, then live readings with labelled faults."""

    spec: SimulationSpec
    history: Columns
    live: Columns
    faults: tuple[Fault, ...]  # by start


def simulate(spec: SimulationSpec) -> Plant:
    """The plant of `spec`; the same spec gives the same plant to the last bit."""
    process, trouble, sensors = np.random.default_rng(spec.seed).spawn(3)
    history, live = (spec.ticks(days * 24) for days in (spec.history_days, spec.live_days))
    tick = spec.live_from_ms + np.arange(-history, live) * spec.cadence_ms  # [K] ms
    names = tuple(f"pump-{number:02}" for number in range(1, spec.series + 1))
    values = healthy(spec, tick / HOUR_MS, process)  # [K, S, C]
    spread = values[:history].std(axis=0)  # [S, C]
    faults = plan(spec, names, trouble)
    for fault in faults:
        series = names.index(fault.series)
        during = slice(*np.searchsorted(tick, (fault.start_ms, fault.end_ms)))
        spoil(values[during, series], fault, spread[series], trouble)
    values = np.maximum(values, 0).round(4)  # no sensor reads below zero
    values[silent(spec, values.shape, sensors)] = np.nan
    time, arrival = _times(spec, tick, sensors)
    parts = (np.s_[:history], np.s_[history:])
    before, after = (_columns(names, time[part], arrival[part], values[part]) for part in parts)
    return Plant(spec, before, after, faults)


def records(readings: Columns) -> Iterator[tuple[bytes, bytes, int]]:
    """Each reading as (key, value, timestamp in ms): the series, a wide JSON record, event time; silence is `null`."""
    encode = msgspec.json.Encoder().encode
    keys = [name.encode() for name in readings.names]
    rows = zip(readings.series.tolist(), readings.time.tolist(), readings.values.tolist(), strict=True)
    for series, time, values in rows:
        yield keys[series], encode({"time": time, **dict(zip(CHANNELS, values, strict=True))}), time


def _times(
    spec: SimulationSpec, tick: NDArray[np.int64], rng: Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When each reading was measured, somewhere in its tick, and when it arrived: [K, S] ms."""
    shape = (len(tick), spec.series)
    moment = rng.uniform(0.2, 0.8, spec.series) + np.clip(rng.normal(0, 0.01, shape), -0.1, 0.1)
    time = tick[:, None] + (moment * spec.cadence_ms).astype(np.int64)
    return time, time + (rng.random(shape) * spec.disorder_s * 1000).astype(np.int64)


def _columns(names: tuple[str, ...], time: NDArray[np.int64], arrival: NDArray[np.int64], values: Floats) -> Columns:
    """Readings by arrival, without those in which every channel is silent."""
    order = np.argsort(arrival, axis=None, kind="stable")
    order = order[~np.isnan(values.reshape(-1, len(CHANNELS))[order]).all(axis=1)]
    series = (order % len(names)).astype(np.int32)
    return Columns(names, series, time.reshape(-1)[order], values.reshape(-1, len(CHANNELS))[order])


def config_text(
    spec: SimulationSpec, store: str = "embedded://plant.db", autoencoder: str = "lstm", service: str = "plant"
) -> str:
    """The config of a service for this plant, as TOML: its history in `history.parquet` beside the config."""
    channels = ", ".join(f'{name} = "$.{name}"' for name in CHANNELS)
    return f"""\
service = "{service}"
model = "pumps"
registry = "registry"

[topics]
store = "{store}"
readings = "{service}.readings"

[readings]
time = "$.time"
channels = {{ {channels} }}

[windows]
cadence_s = {spec.cadence_s:g}
lateness_s = {spec.disorder_s:g}

[training]
files = ["history.parquet"]
autoencoder = "{autoencoder}"
gate = "serve_baseline"                # where the autoencoder is not clearly better than pca, pca is what serves

[serving]
start = "earliest"
"""
