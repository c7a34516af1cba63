"""Holds: running partitions of which nothing is read for a while, because somebody has to mend something first."""

from __future__ import annotations

import time

from streamae.topics.topics import Source

HOLD_S = 30.0  # after which it is tried again: what was wrong may be mended by then


class Holds:
    """The partitions that are held, where they go on, and when that is tried."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._held: dict[int, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, partition: int, offset: int) -> None:
        """Read nothing of a partition; then go on from an offset."""
        self._source.hold(partition)
        self._held[partition] = offset, time.monotonic() + HOLD_S

    def forget(self, partition: int) -> None:
        """It is with another member now, or is restored."""
        self._held.pop(partition, None)

    def release_due(self) -> None:
        """Go on with those that have waited."""
        for partition, (offset, due) in list(self._held.items()):
            if time.monotonic() >= due:
                del self._held[partition]
                self._source.resume(partition, offset)
