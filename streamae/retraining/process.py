"""Retraining as a process: signals, clock, and what is printed."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import msgspec
from rich.console import Console

from streamae.config import Config
from streamae.errors import ConfigError
from streamae.retraining import report
from streamae.retraining.child import end_with_parent


def run_on_schedule(config: Config, path: Path, scheduled: int | None = None) -> None:
    """Run at each scheduled time until SIGTERM or SIGINT."""
    from streamae.retraining.loop import Loop

    if scheduled is not None:
        raise ConfigError("--for names the time of one run: give --once, too")
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    loop = Loop(config, path, now_ms)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    loop.run(stop)


def run_once(config: Config, scheduled: int | None, with_parent: bool, output: tuple[Console, bool]) -> None:
    """One run in this process, for a scheduled time or for now; printed on a console, or as JSON."""
    if with_parent:
        end_with_parent()
    console, as_json = output
    if scheduled is not None and scheduled > now_ms():
        raise ConfigError("--for names a time that is still to come: all times before it would count as dealt with")
    from streamae.retraining.job import Job  # from here on torch is loaded, and the parent is watched

    run = Job(config, now_ms() if scheduled is None else scheduled, now_ms).run(wait=with_parent)
    if as_json:
        sys.stdout.write(msgspec.json.encode(run).decode() + "\n")
        return
    if run.evidence:
        console.print(report.comparison(run.evidence))
    console.print(f"{config.model} {run.version or ''}: {run.outcome}, {run.why}", highlight=False, soft_wrap=True)


def now_ms() -> int:
    """The time of day."""
    return time.time_ns() // 1_000_000
