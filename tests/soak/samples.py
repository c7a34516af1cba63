"""What a soak writes down, a line of JSON each, as it comes; and the sampler that looks at the workers."""

from __future__ import annotations

import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.workers import Worker

EVERY_S = 5.0


class Note(msgspec.Struct, tag=True):
    """A line."""


class Load(Note):
    """How many readings a second were taken at most, and how many are published from now on."""

    most: float
    half: float


class Sample(Note):
    """One worker at one moment, in s since the first one."""

    at: float
    worker: str
    life: int
    memory_mb: float  # resident
    descriptors: int
    threads: int
    cpu_s: float  # that this life has used
    lag: int | None  # records, as its own page tells; None where there is none


class Fault(Note):
    """A fault, and how long it took from its end until all that had been published by then was committed."""

    at: float
    fault: str
    lasted_s: float
    recovery_s: float


class Idle(Note):
    """The share of a core that a worker uses while nothing is published."""

    worker: str
    share: float


class Outputs(Note):
    """What was published, beside what an undisturbed run publishes."""

    kind: str
    compared: int
    lost: int
    doubled: int
    different: int


Line = Load | Sample | Fault | Idle | Outputs


class Notes:
    """All lines so far, and the file that they are in."""

    def __init__(self, file: Path) -> None:
        self.lines: list[Line] = []
        self._lock = threading.Lock()
        self._began = time.monotonic()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._file.write_bytes(b"")

    def at(self) -> float:
        """Now, in s since the first line could be written."""
        return time.monotonic() - self._began

    def add(self, line: Line) -> None:
        """Keep a line."""
        with self._lock, self._file.open("ab") as file:
            self.lines.append(line)
            file.write(msgspec.json.encode(line) + b"\n")


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sample(at: float, worker: str, life: int, pid: int, page: str | None) -> Sample:
    """A process as it is now. Raises OSError where it has gone."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    memory_mb = int(status["VmRSS"].split()[0]) / 1024
    return Sample(at, worker, life, memory_mb, descriptors, int(status["Threads"]), cpu_s(pid), lag(page))


def lag(page: str | None) -> int | None:
    """How many records a worker is behind in all of its partitions."""
    if page is None:
        return None
    with suppress(OSError), urllib.request.urlopen(f"{page}/metrics", timeout=2) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        found = [one.value for family in families for one in family.samples if one.name == "streamae_lag_records"]
        return int(sum(found))
    return None


class Sampler:
    """Looks at every worker that runs, every few seconds, within a `with`."""

    def __init__(self, notes: Notes, workers: list[Worker]) -> None:
        self._notes = notes
        self._workers = workers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            for line in self._look():
                self._notes.add(line)

    def _look(self) -> Iterator[Sample]:
        at = self._notes.at()
        for worker in self._workers:
            process = worker.process
            if worker.wanted and process.exit_code is None:
                with suppress(OSError, KeyError):  # it ended meanwhile; a zombie has no memory
                    yield sample(at, worker.name, process.lives, process.pid, process.address())
