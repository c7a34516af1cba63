"""What a soak writes down, a line of JSON each, as it comes; and the sampler that looks at the workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from kafka.errors import KafkaError

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


class Behind(Note):
    """How many records were published and not yet committed."""

    at: float
    records: int


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


Line = Load | Sample | Behind | Fault | Idle | Outputs


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


def sample(at: float, worker: str, life: int, pid: int) -> Sample:
    """A process as it is now. Raises OSError where it has gone."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    memory_mb = int(status["VmRSS"].split()[0]) / 1024
    return Sample(at, worker, life, memory_mb, descriptors, int(status["Threads"]), cpu_s(pid))


class Sampler:
    """Looks at every worker that runs, and at how far they are behind, every few seconds within a `with`."""

    def __init__(self, notes: Notes, workers: list[Worker], behind: Callable[[], int]) -> None:
        self._notes = notes
        self._workers = workers
        self._behind = behind
        self._over = threading.Event()
        # Two, since brokers that are away keep whoever asks them waiting.
        self._threads = [threading.Thread(target=self._run, args=(look,)) for look in (self._memory, self._lag)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, look: Callable[[], Iterator[Line]]) -> None:
        while not self._over.wait(EVERY_S):
            for line in look():
                self._notes.add(line)

    def _memory(self) -> Iterator[Sample]:
        at = self._notes.at()
        for worker in self._workers:
            process = worker.process
            if worker.wanted and process.exit_code is None:
                with suppress(OSError, KeyError):  # it ended meanwhile; a zombie has no memory
                    yield sample(at, worker.name, process.lives, process.pid)

    def _lag(self) -> Iterator[Behind]:
        with suppress(KafkaError):  # no answer: asked again
            yield Behind(self._notes.at(), self._behind())
