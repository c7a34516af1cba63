"""State: the pending and open episodes of a partition, and its raised thresholds, as its state record holds them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from streamae.detection.alerts import ChannelShare, Peak
from streamae.detection.keeper import Moment, Raised
from streamae.errors import DataError


class Episode(msgspec.Struct, kw_only=True):
    """A stretch of time in which a series is anomalous: pending until it has fired."""

    series: str
    first: Moment  # start of its first window, ms
    onset: Moment
    end: Moment  # until when it has been anomalous, as far as is known
    seen: Moment  # end of the last window that counted
    above: int = 0  # anomalous windows in a row
    calm: int = 0
    fired: bool = False
    confirmed: bool = False
    peak: Peak
    settled: list[float] = []  # the last settled scores, newest last
    observed: float = 0.0  # summed over `windows`
    windows: Annotated[int, Meta(ge=1)]
    threshold: float  # in force
    factor: Annotated[float, Meta(ge=1)] = 1.0  # of it over the calibrated one
    version: str
    first_offset: int
    last_offset: int
    channels: tuple[ChannelShare, ...] = ()


class State(msgspec.Struct):
    """What a partition's state record holds: the episodes alone, as a list, where no threshold is raised."""

    episodes: list[Episode]
    raised: list[Raised]


def read_state(data: bytes) -> State:
    """What a state record holds. Raises DataError where that is something else."""
    try:
        held = msgspec.json.decode(data, type=list[Episode] | State)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"these are no episodes ({error})") from error
    return held if isinstance(held, State) else State(held, [])
