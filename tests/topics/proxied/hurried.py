"""Clients in a hurry: what a fault may last is a matter of seconds."""

from __future__ import annotations

import threading
import time

from streamae.topics.kafka_client import Timing

HURRIED = Timing(
    session=3_000, heartbeat=300, transaction=3_000, delivery=1_500, request=1_000, bootstrap=3_000, undecided=300
)


def clients() -> list[threading.Thread]:
    """The threads that are not the proxy's."""
    return [thread for thread in threading.enumerate() if "_pump" not in repr(thread)]


class Within:
    """What is done inside takes no longer than so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        took = time.monotonic() - self._began
        assert took < self._seconds, f"took {took:.1f} s"
