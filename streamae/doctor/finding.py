"""What was looked at, and how it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warning", "fault"]


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: State
    what: str
