"""A contract: what a format promises, whatever the bytes. It raises where the promise is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Contract(NamedTuple):
    """What is promised, bytes that are worth changing, and tokens that are worth putting in."""

    holds: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
