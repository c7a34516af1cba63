"""How healthy pumps behave, and how their sensors fall silent.

Set points follow the day's demand, change every few hours, and now and then send a pump to standby. Load
drives current and pressure; temperature follows the motor's losses with a thermal lag; vibration follows load.
Every channel has coloured noise (the process) and white noise (the sensor). Pumps differ in size and in noise.

Letters: K ticks, S series, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CHANNELS = ("temperature", "pressure", "vibration", "current")  # degrees C, bar, mm/s, A
TEMPERATURE, PRESSURE, VIBRATION, CURRENT = range(4)
RATED = (30.0, 6.0, 2.0, 40.0)  # at full load; of temperature: the rise above its surroundings
NOISE = (
    0.01,
    0.015,
    0.06,
    0.015,
)  # standard deviation of each of the two, as a share of rated
HOUR_MS = 3_600_000


@dataclass(frozen=True, kw_only=True)
class SimulationSpec:
    """Which plant, and when; `end_ms` (ms since the epoch) ends the live part and is normally now."""

    seed: int
    end_ms: int
    series: int = 12
    history_days: float = 28
    live_days: float = 14
    cadence_s: float = 60
    disorder_s: float = 0  # readings arrive up to this long after they were measured

    def __post_init__(self) -> None:
        if not 1 <= self.cadence_s <= 3600:
            raise ValueError(f"cadence must be from 1 s to 1 h, not {self.cadence_s:g} s")
        if min(self.series, self.ticks(self.history_days * 24), self.ticks(self.live_days * 24)) < 1:
            raise ValueError("a plant needs at least one series, and a tick of history and of live readings")

    @property
    def cadence_ms(self) -> int:
        """Duration of a tick."""
        return round(self.cadence_s * 1000)

    @property
    def live_from_ms(self) -> int:
        """Event time at which the live part starts, on the grid of ticks."""
        return (self.end_ms // self.cadence_ms - self.ticks(self.live_days * 24)) * self.cadence_ms

    def ticks(self, hours: float) -> int:
        """How many ticks there are in so many hours."""
        return round(hours * HOUR_MS / self.cadence_ms)

    def fading(self, hours: float) -> float:
        """What one tick leaves of something that fades with this time constant."""
        return float(np.exp(-self.cadence_ms / (hours * HOUR_MS)))


def healthy(spec: SimulationSpec, hours: Floats, rng: Generator) -> Floats:
    """What fault-free pumps do at `hours` [K] since the epoch: [K, S, C], in the channels' units."""
    load = _load(spec, hours, rng)
    current = 0.35 + 0.65 * load  # a motor that idles draws a third
    losses = follow(current**2, spec.fading(0.75))
    drive = np.stack([losses, 0.45 + 0.55 * load**2, 0.4 + 0.6 * load**2, current], axis=2)
    rated = np.array(RATED) * rng.lognormal(0, 0.2, (spec.series, len(CHANNELS)))
    noise = rated * np.array(NOISE) * rng.lognormal(0, 0.3, rated.shape)
    values = rated * drive + noise * (rng.standard_normal(drive.shape) + coloured(drive.shape, spec.fading(0.33), rng))
    values[:, :, TEMPERATURE] += _surroundings(spec, hours, rng)
    return np.asarray(values)


def silent(spec: SimulationSpec, shape: tuple[int, ...], rng: Generator) -> NDArray[np.bool_]:
    """Where values [K, S, C] are not there: single ones, sensors for 5-60 minutes, gateways for 10-40."""
    ticks, series, channels = shape
    single = rng.random(shape) < 0.002
    sensors = _stretches(spec, (ticks, series, channels), (96, 5, 60), rng)
    gateways = _stretches(spec, (ticks, series, 1), (240, 10, 40), rng)
    return single | sensors | gateways


def follow(drive: Floats, fading: float) -> Floats:
    """A first-order lag along the first axis, at rest with the first value."""
    rest = drive[:1]
    return np.asarray(rest + (1 - fading) * _fold(drive - rest, fading))


def coloured(shape: tuple[int, ...], fading: float, rng: Generator) -> Floats:
    """Noise of unit variance along the first axis whose correlation fades by `fading` a tick."""
    return np.asarray(np.sqrt(1 - fading**2) * _fold(rng.standard_normal(shape), fading))


def _fold(values: Floats, fading: float) -> Floats:
    """`y[k] = values[k] + fading * y[k - 1]`, by doubling: the sum over 1, 2, 4, ... ticks."""
    folded, span = values.copy(), 1
    while span < len(folded) and fading**span > 1e-9:
        folded[span:] += fading**span * folded[:-span]
        span *= 2
    return folded


def _load(spec: SimulationSpec, hours: Floats, rng: Generator) -> Floats:
    """Load [K, S] as a share of full: the day's demand, set points that change every few hours, standby."""
    shape = (len(hours), spec.series)
    changes = rng.random(shape) < 1 / spec.ticks(2.5)
    since = np.maximum.accumulate(np.where(changes, np.arange(len(hours))[:, None], 0), axis=0)
    demand = 0.7 + 0.15 * np.sin(2 * np.pi * (hours - 9) / 24)[:, None]
    asked = demand + np.take_along_axis(rng.normal(0, 0.12, shape), since, axis=0)
    standby = np.take_along_axis(rng.random(shape), since, axis=0) < 0.06
    return follow(np.where(standby, 0.1, np.clip(asked, 0.4, 1.1)), spec.fading(0.07))


def _surroundings(spec: SimulationSpec, hours: Floats, rng: Generator) -> Floats:
    """Temperature [K, S] around the pumps: where each stands, the time of day, the weather that all share."""
    place = rng.uniform(14, 24, spec.series)
    day = 4 * np.sin(2 * np.pi * (hours - 10) / 24)
    return np.asarray(place + (day + 2 * coloured(hours.shape, spec.fading(36), rng))[:, None])


def _stretches(
    spec: SimulationSpec, shape: tuple[int, ...], habit: tuple[float, float, float], rng: Generator
) -> NDArray[np.bool_]:
    """Stretches along the first axis; habit: one in so many hours, minutes from, minutes to."""
    every_h, least_min, most_min = habit
    starts = rng.random(shape) < 1 / spec.ticks(every_h)
    row = np.arange(shape[0]).reshape(-1, 1, 1)
    until = row + rng.uniform(spec.ticks(least_min / 60), spec.ticks(most_min / 60), shape)
    return np.asarray(row < np.maximum.accumulate(np.where(starts, until, 0), axis=0))
