"""Workers: processes of `streamae serve` in one group, and the supervisor that starts again what has ended."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from contextlib import suppress

from tests.faults.points import Point
from tests.serving.process import Process
from tests.serving.stand import Stand, wait_for

RESTART = 70
KILLED = -signal.SIGKILL
PATIENCE_S = 90.0


class Worker:
    """One worker, and whether it is meant to run."""

    def __init__(self, stand: Stand, instance: str) -> None:
        self.name = instance
        self._orders = stand.folder / f"{stand.name}-{instance}.die"
        prelude = f"from tests.faults.points import listen; listen({str(self._orders)!r})"
        self.process = Process(stand, prelude, instance)
        self.wanted = False

    def die_at(self, point: Point, passes: int, now: bool) -> None:
        """Have it die at a moment: of this life, or of the next one."""
        aside = self._orders.with_suffix(".new")
        aside.write_text(f"{point} {passes}")
        aside.rename(self._orders)
        if now:
            self.process.send(signal.SIGUSR1)

    def running(self) -> int:
        """How many partitions run in it."""
        return int(self.process.health().get("partitions", {}).get("running", 0))


class Workers:
    """A group of them; the supervisor is a thread of its own."""

    def __init__(self, stand: Stand, instances: tuple[str, ...]) -> None:
        self.each = [Worker(stand, instance) for instance in instances]
        self.ends: Counter[int] = Counter()  # exit codes
        self._stand = stand
        self._failed: list[str] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._supervise, name="supervisor")
        self._thread.start()

    def start(self, worker: Worker) -> None:
        """Start one that does not run."""
        with self._lock:
            worker.wanted = True
            worker.process.start()

    def leave(self, worker: Worker) -> None:
        """Ask one to end, and see that it does."""
        with self._lock:
            worker.wanted = False
        with suppress(ProcessLookupError):
            worker.process.send(signal.SIGTERM)
        code = worker.process.ended(PATIENCE_S)
        self._count(worker, code)

    def settled(self) -> bool:
        """Whether all partitions run, some in each of the workers that are wanted. Raises what made the group fail."""
        self.check()
        running = [worker.running() for worker in self.each if worker.wanted]
        return all(running) and sum(running) == self._stand.partitions

    def check(self) -> None:
        """Raise AssertionError where a worker ended as none should."""
        assert not self._failed, self._failed[0]

    def died(self, worker: Worker, before: int) -> None:
        """Wait until one has been started once more than `before`."""

        def again() -> bool:
            self.check()
            return worker.process.lives > before

        wait_for(again, PATIENCE_S)

    def close(self) -> None:
        """End all of them."""
        self._over.set()
        self._thread.join()
        for worker in self.each:
            worker.process.close()

    def _supervise(self) -> None:
        while not self._over.wait(0.05):
            for worker in self.each:
                with self._lock:
                    code = worker.process.exit_code
                    if worker.wanted and code is not None:
                        self._count(worker, code)
                        worker.process.start()

    def _count(self, worker: Worker, code: int) -> None:
        self.ends[code] += 1
        expected = (RESTART, KILLED) if worker.wanted else (0, RESTART, KILLED, -signal.SIGTERM)
        if code not in expected:
            self._failed.append(f"exit code {code}:\n{worker.process.said()[-3000:]}")
