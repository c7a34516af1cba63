"""Watchdog: ends a process that makes no progress, or that was frozen for so long that another has taken over."""

from __future__ import annotations

import logging
import os
import threading
import time

log = logging.getLogger(__name__)

TICK_S = 1.0


class Watchdog:
    """A thread that exits 70 for a loop that hangs or a process that was stopped; a loop that is merely busy beats.

    A process that wakes after a long stop must not reach for its producer: it would fence the one that replaced it.
    """

    def __init__(self, patience_s: float = 30.0, frozen_s: float = 10.0) -> None:
        self._patience_s = patience_s
        self._frozen_s = frozen_s
        self._beat = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """The loop makes progress."""
        self._beat = time.monotonic()

    def stalled_s(self) -> float:
        """Seconds since the last progress."""
        return time.monotonic() - self._beat

    def stop(self) -> None:
        """Watch no longer."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        due = time.monotonic() + TICK_S
        while not self._done.wait(max(due - time.monotonic(), 0)):
            late = time.monotonic() - due
            if late > self._frozen_s:
                self._exit(f"this process was stopped for {late:.0f} s; another may have taken over")
            if self.stalled_s() > self._patience_s:
                self._exit(f"the loop has made no progress for {self.stalled_s():.0f} s")
            due = time.monotonic() + TICK_S

    def _exit(self, why: str) -> None:
        log.critical("%s: exiting with 70, to be started again", why)
        os._exit(70)
