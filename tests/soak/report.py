"""What a soak's lines say: lag after each fault, growth of the lives that lasted, idleness, and compared outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from tests.soak.samples import Behind, Fault, Idle, Line, Load, Outputs, Sample

SETTLED_S = 180.0  # of a life: until then libraries and allocators take what they keep
_Kind = TypeVar("_Kind")


def of(kind: type[_Kind], lines: Sequence[Line]) -> list[_Kind]:
    """The lines of one kind."""
    return [line for line in lines if isinstance(line, kind)]


class Slope(NamedTuple):
    """A line through points, with the half of its 95 % confidence interval."""

    per_hour: float
    give_or_take: float


def slope(at_s: NDArray[np.float64], values: NDArray[np.float64]) -> Slope:
    """The least squares line; samples that follow each other closely say little more than one, and count so."""
    hours = (at_s - at_s.mean()) / 3600
    spread = float(hours @ hours)
    per_hour = float(hours @ values) / spread
    residuals = values - values.mean() - per_hour * hours
    square = float(residuals @ residuals)
    alike = max(float(residuals[1:] @ residuals[:-1]) / square, 0.0) if square else 0.0
    error = math.sqrt(square / (len(values) - 2) / spread * (1 + alike) / (1 - alike))
    return Slope(per_hour, 1.96 * error)


@dataclass(frozen=True)
class Life:
    """The samples of one life of a worker, once it had settled."""

    samples: list[Sample]

    def of(self, name: str) -> NDArray[np.float64]:
        """One of the things sampled."""
        return np.array([getattr(one, name) for one in self.samples], np.float64)

    @property
    def seconds(self) -> float:
        """How long it was looked at."""
        return self.samples[-1].at - self.samples[0].at

    @property
    def memory(self) -> Slope:
        """How fast its memory grows, in MB."""
        return slope(self.of("at"), self.of("memory_mb"))

    def grows(self, name: str) -> bool:
        """Whether a count goes on growing: from each quarter to the next, and beyond all that it was in the first half.

        A connection or thread that is made when it is first needed is no growth: there are only so many.
        """
        values = self.of(name)
        quarters = [float(np.median(quarter)) for quarter in np.array_split(values, 4)]
        upwards = all(earlier < later for earlier, later in pairwise(quarters))
        return upwards and quarters[-1] > values[: len(values) // 2].max()


def lasting(lines: Sequence[Line]) -> list[Life]:
    """Lives that lasted for at least half of the soak, settling aside."""
    samples = of(Sample, lines)
    half = (samples[-1].at - samples[0].at - SETTLED_S) / 2 if samples else 0.0
    by_life = sorted(samples, key=lambda one: (one.worker, one.life, one.at))
    lives: list[Life] = []
    for _, found in groupby(by_life, key=lambda one: (one.worker, one.life)):
        life = list(found)
        settled = [one for one in life if one.at - life[0].at >= SETTLED_S]
        if len(settled) > 12 and settled[-1].at - settled[0].at >= half:
            lives.append(Life(settled))
    return lives


def most_behind(fault: Fault, lines: Sequence[Line]) -> int:
    """The most records that were seen to wait, from a fault's begin until all had been caught up with."""
    until = fault.at + fault.lasted_s + fault.recovery_s
    return max((one.records for one in of(Behind, lines) if fault.at <= one.at <= until), default=0)


def failures(lines: Sequence[Line]) -> list[str]:
    """What must not be."""
    found = [
        f"{name} of worker {life.samples[0].worker} grow"
        for life in lasting(lines)
        for name in ("descriptors", "threads")
        if life.grows(name)
    ]
    outputs = of(Outputs, lines)
    found += [f"{one.kind} are not equal" for one in outputs if one.lost or one.doubled or one.different]
    return found if outputs else [*found, "outputs were not compared"]


def tables(lines: Sequence[Line]) -> Iterator[Table]:
    """All of it."""
    yield _loads(lines)
    yield _lags(lines)
    yield _lives(lines)
    yield _outputs(lines)


def _loads(lines: Sequence[Line]) -> Table:
    table = Table("readings/s", "taken at most", "published")
    for load in of(Load, lines):
        table.add_row("", f"{load.most:,.0f}", f"{load.half:,.0f}")
    return table


def _lags(lines: Sequence[Line]) -> Table:
    table = Table("fault", "met", "lasted s", "caught up after s, p50", "p95", "longest", "behind, records")
    faults = of(Fault, lines)
    names = dict.fromkeys(fault.fault for fault in faults)
    for name, met in [(name, [fault for fault in faults if fault.fault == name]) for name in names] + [("all", faults)]:
        if met:
            seconds = [fault.recovery_s for fault in met]
            p50, p95 = np.percentile(seconds, [50, 95])
            lasted, behind = max(one.lasted_s for one in met), max(most_behind(one, lines) for one in met)
            cells = (f"{lasted:.1f}", f"{p50:.1f}", f"{p95:.1f}", f"{max(seconds):.1f}", f"{behind:,}")
            table.add_row(name, str(len(met)), *cells)
    return table


def _lives(lines: Sequence[Line]) -> Table:
    counts = ("descriptors", "threads")
    table = Table("worker", "life", "min", "MB first, last, most", "MB/h", *counts, "CPU", "idle CPU")
    idle = {one.worker: f"{one.share:.1%}" for one in of(Idle, lines)}
    for life in lasting(lines):
        first, last = life.samples[0], life.samples[-1]
        memory, cpu = life.memory, (last.cpu_s - first.cpu_s) / life.seconds
        table.add_row(
            first.worker,
            str(first.life),
            f"{life.seconds / 60:.0f}",
            _first_last_most(life.of("memory_mb")),
            f"{memory.per_hour:+.1f} ± {memory.give_or_take:.1f}",
            *(_first_last_most(life.of(name)) for name in counts),
            f"{cpu:.0%}",
            idle.get(first.worker, ""),
        )
    return table


def _first_last_most(values: NDArray[np.float64]) -> str:
    return f"{values[0]:.0f}, {values[-1]:.0f}, {values.max():.0f}"


def _outputs(lines: Sequence[Line]) -> Table:
    table = Table("", "compared", "lost", "doubled", "different")
    for one in of(Outputs, lines):
        table.add_row(one.kind, *(f"{value:,}" for value in (one.compared, one.lost, one.doubled, one.different)))
    return table
