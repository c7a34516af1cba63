"""One service over the full topic, as the production process, from the first commits to the last."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from streamae.bench.figures import Served
from streamae.config import Config
from streamae.errors import StreamaeError
from streamae.serving.child import ServeProcess

STEADY_FROM = 0.15  # of the readings: start-up, first fetches and new series are behind it
PATIENCE_S = 300.0
FIRST_LOOK_S, LOOK_S = 0.02, 0.5  # between two looks at the page: asking costs the service time


class Mark(NamedTuple):
    """Where a service was at one moment."""

    handled: int
    cpu_s: float
    wall_s: float


def serve(config: Config, folder: Path, readings: int) -> Served:
    """Serve until all readings are committed. Raises StreamaeError where the service ends, stalls or sets aside."""
    process = ServeProcess(config, folder)
    try:
        begin = _reached(process, int(readings * STEADY_FROM), readings)
        end = _reached(process, readings, readings)
        metrics = process.metrics()
    finally:
        process.stop()
    dead = {name: value for name, value in metrics.items() if name.startswith("streamae_dead_letters_total") and value}
    if dead:
        raise StreamaeError(f"{config.service}: readings became dead letters: {dead}; see {process.log}")
    count = end.handled - begin.handled
    if not count or end.cpu_s == begin.cpu_s:
        raise StreamaeError(f"{readings} readings were over before they could be measured: give more --readings")
    return Served(
        readings=count,
        cpu_us=(end.cpu_s - begin.cpu_s) / count * 1e6,
        wall_s=end.wall_s - begin.wall_s,
        windows=int(metrics["streamae_windows_total"]),
        alerts=int(metrics.get('streamae_alerts_total{state="firing"}', 0)),
    )


def _reached(process: ServeProcess, target: int, readings: int) -> Mark:
    """The first look at which `target` readings are committed."""
    first = last = Mark(0, 0.0, time.monotonic())
    while last.handled < target:
        if last.wall_s - first.wall_s > PATIENCE_S:
            raise StreamaeError(f"{last.handled} of {readings} readings handled in {PATIENCE_S:g} s; see {process.log}")
        time.sleep(_pause(first, last, target))
        last = Mark(process.handled(), cpu_seconds(process.pid), time.monotonic())
        first = first if first.handled else last
    return last


def _pause(first: Mark, last: Mark, target: int) -> float:
    """Half the time that is left at the pace so far: few looks, and none long after the target."""
    done = last.handled - first.handled
    if done <= 0:
        return FIRST_LOOK_S
    left_s = (target - last.handled) * (last.wall_s - first.wall_s) / done
    return min(max(left_s / 2, FIRST_LOOK_S), LOOK_S)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process: all its threads, and its children that have ended. Raises StreamaeError."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError as error:
        raise StreamaeError(f"/proc/{pid}/stat: {error.strerror}; the bench measures on Linux only") from error
    times = stat.rpartition(")")[2].split()[11:15]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
