"""Alert: the record that an episode is firing or resolved, as subscribers read it."""

from __future__ import annotations

from typing import Literal

import msgspec


class Peak(msgspec.Struct, frozen=True):
    """The highest score of an episode, and the event time (ms) of the newest tick of its window."""

    time: int
    score: float


class ChannelShare(msgspec.Struct, frozen=True):
    """A channel's part in the error, with what the model expected of it and what was measured (raw units)."""

    name: str
    share: float
    expected: float | None
    actual: float | None


class Offsets(msgspec.Struct, frozen=True):
    """The records that an episode was found in: re-reading them gives the alert again."""

    topic: str
    partition: int
    first: int
    last: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The record that an episode is firing or resolved. Times are event times in ms since the epoch."""

    id: str
    state: Literal["firing", "resolved"]
    reason: Literal["recovered", "silent", "withdrawn"] | None = None
    model: str
    version: str
    series: str
    start: int
    end: int | None = None
    peak: Peak
    confirmed: bool
    threshold: float
    channels: tuple[ChannelShare, ...]
    observed: float
    source: Offsets
