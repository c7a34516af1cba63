"""A process that serves all that was published, and what that took."""

from __future__ import annotations

import os
import re
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import confluent_kafka

from tests.faults.workers import RESTART
from tests.serving.process import Process
from tests.serving.stand import Stand, wait_for

STUCK_S = 300.0  # without progress
COUNTS = ("streamae_readings_total", "streamae_skipped_total", 'streamae_transactions_total{outcome="failed"}')


class Served(NamedTuple):
    """What a process did, and what it took."""

    cpu_s: float
    peak_mb: float
    handled: int  # records, as its metrics tell
    skipped: int
    failed: int  # transactions
    starts: int  # of the process; where there are several, the other figures are of the last one


NOTHING = Served(0, 0, 0, 0, 0, 0)


def serve(stand: Stand, ends: dict[int, int]) -> Served:
    """Serve up to these ends. Raises AssertionError where the process does not come to them."""
    serving = _Serving(stand, list(ends))
    try:
        while (reached := sum(serving.committed().values())) < sum(ends.values()):
            wait_for(partial(serving.beyond, reached), STUCK_S)
        served = serving.end()
        assert serving.committed() == ends
    finally:
        serving.close()
    return served


class _Serving:
    def __init__(self, stand: Stand, partitions: list[int]) -> None:
        self._process = Process(stand)
        self._tps = [
            confluent_kafka.TopicPartition(stand.config.topics.readings, partition) for partition in partitions
        ]
        address = stand.url.removeprefix("kafka://")
        self._group = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": stand.name})
        self._idle_s = 0.0  # of CPU, before it had anything to do
        self._committed = dict.fromkeys(partitions, 0)

    def committed(self) -> dict[int, int]:
        """What the group has committed, as far as is known: a loaded broker may not answer now."""
        with suppress(confluent_kafka.KafkaException):
            found = self._group.committed(self._tps, timeout=5)
            self._committed = {tp.partition: max(tp.offset, 0) for tp in found}
        return self._committed

    def beyond(self, reached: int) -> bool:
        """Whether more than that is committed; who asks to be started again, as a starved process does, is."""
        if self._process.lives == 0 or self._process.exit_code == RESTART:
            self._process.start()
            wait_for(lambda: self._process.address() is not None or self._process.exit_code is not None)
            self._idle_s = _cpu_s(self._process.pid)
        assert self._process.exit_code in (None, RESTART), self._process.said()[-3000:]
        return sum(self.committed().values()) > reached

    def end(self) -> Served:
        """Have it end in order; what it did and took."""
        all_of_it = sum(self._committed.values())  # which a process that was started again has not committed itself
        wait_for(lambda: self._process.committed() >= (all_of_it if self._process.lives == 1 else 0))
        wait_for(lambda: bool(self._process.health()))
        metrics = urllib.request.urlopen(f"{self._process.address()}/metrics", timeout=30).read().decode()
        used, peak = _cpu_s(self._process.pid) - self._idle_s, _peak_mb(self._process.pid)
        counts = [re.search(rf"^{re.escape(name)} (\S+)", metrics, re.MULTILINE) for name in COUNTS]
        handled, skipped, failed = (int(float(count[1])) if count else 0 for count in counts)
        assert self._process.stop() == 0, self._process.said()[-3000:]
        return Served(used, peak, handled, skipped, failed, self._process.lives)

    def close(self) -> None:
        """Leave nothing behind."""
        self._process.close()
        self._group.close()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
