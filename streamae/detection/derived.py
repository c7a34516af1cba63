"""Derived channels: context that is made of a reading instead of measured, so that a model knows hour and mode.

They stand behind the measured channels and are known by their names:

    @day.sin, @day.cos     where in the day (also `week`, `year`; UTC) the reading's time lies, as a point on a circle
    @state=2               1 where the channel `state` is 2, else 0: modes have no order and no distance

N readings, M measured channels, D derived ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Period = Literal["day", "week", "year"]

MARK = "@"
PERIODS_MS: dict[str, int] = {"day": 86_400_000, "week": 604_800_000, "year": 31_556_952_000}
Doubles = NDArray[np.float64]


def calendar_names(periods: Sequence[str]) -> list[str]:
    """The channels that a calendar of these periods has."""
    return [f"{MARK}{period}.{part}" for period in periods for part in ("sin", "cos")]


def mode_names(channel: str, modes: Sequence[float]) -> list[str]:
    """The channels that stand for the modes of a channel."""
    return [f"{MARK}{channel}={mode:.0f}" for mode in modes]


def periods_of(names: Sequence[str]) -> list[Period]:
    """The periods of the calendar among some channels."""
    return [period for period in get_args(Period) if f"{MARK}{period}.sin" in names]


def modes_of(names: Sequence[str]) -> dict[str, list[float]]:
    """The known modes of each channel that has some among these."""
    found: dict[str, list[float]] = {}
    for name in names:
        if name.startswith(MARK) and (one := _mode(name)):
            found.setdefault(one[0], []).append(float(one[1]))
    return found


def _mode(name: str) -> tuple[str, str] | None:
    """Channel and mode that a derived channel stands for; None for one of the calendar."""
    channel, equals, mode = name.removeprefix(MARK).rpartition("=")
    return (channel, mode) if equals else None


def check(names: Sequence[str]) -> None:
    """Raise ValueError for a derived channel that nothing here can make, or that stands before a measured one."""
    measured = [name for name in names if not name.startswith(MARK)]
    known = {*calendar_names(list(PERIODS_MS))}
    for at, name in enumerate(names):
        one = _mode(name)
        made = one[0] in measured and re.fullmatch(r"-?\d+", one[1]) if one else name in known
        if name.startswith(MARK) and not (at >= len(measured) and made):
            raise ValueError(f"the channel {name} is none that this StreamAE derives, or stands before a measured one")


def derive(names: Sequence[str], time: NDArray[np.int64], measured: Sequence[str], values: Doubles) -> Doubles:
    """Derived channels [N, D] of these names, from times (ms) and the values [N, M] of measured ones."""
    made = np.empty((len(time), len(names)))
    for at, name in enumerate(names):
        if one := _mode(name):
            own = values[:, measured.index(one[0])]
            made[:, at] = np.where(np.isnan(own), np.nan, own == float(one[1]))
        else:
            period, _, part = name.removeprefix(MARK).partition(".")
            angle = (time % PERIODS_MS[period]) * (2 * np.pi / PERIODS_MS[period])
            made[:, at] = np.sin(angle) if part == "sin" else np.cos(angle)
    return made


def completed(names: Sequence[str], time: NDArray[np.int64], values: Doubles) -> Doubles:
    """Readings [N, M] of channels of which some are derived -> [N, M + D]; a silent reading stays silent."""
    measured = [name for name in names if not name.startswith(MARK)]
    if len(measured) == len(names):
        return values
    made = derive(names[len(measured) :], time, measured, values)
    made[np.isnan(values).all(axis=1)] = np.nan
    return np.hstack([values, made])
