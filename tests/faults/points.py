"""Moments of the exactly-once protocol at which a worker can be killed with -9.

A worker that `listen`s in its prelude looks at a file when it starts and at each SIGUSR1. Where it says `POINT PASS`,
the worker dies at the moment called POINT, when it comes by for the PASS-th time.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Literal, get_args

from kafka import KafkaProducer
from kafka.producer.transaction_manager import TransactionManager

from streamae.detection.scoring import Scorer
from streamae.serving.loop import Loop
from streamae.serving.partition import Partition
from streamae.topics.kafka_sink import KafkaSink
from streamae.topics.kafka_source import KafkaSource

Point = Literal[
    "polled",
    "decoded",
    "scoring",
    "begun",
    "half sent",
    "sent",
    "positions sent",
    "committing",
    "committed",
    "restoring",
    "swapping",
    "closing",
]
POINTS: tuple[Point, ...] = get_args(Point)

# Where a moment is: the owner of a method, its name, and whether it is before or after the call.
PLACES: dict[Point, tuple[Any, str, bool]] = {
    "polled": (Loop, "_take", True),
    "decoded": (Partition, "_decode", False),
    "scoring": (Scorer, "errors", True),
    "begun": (KafkaSink, "begin", False),
    "half sent": (KafkaProducer, "send", False),
    "sent": (KafkaSink, "send", False),
    "positions sent": (KafkaSink, "_send_positions", False),
    "committing": (TransactionManager, "begin_commit", False),
    "committed": (KafkaSink, "commit", False),
    "restoring": (Partition, "follow", False),
    "swapping": (Partition, "swap", False),
    "closing": (KafkaSource, "close", True),
}


def listen(path: str) -> None:
    """Die as the file says: what stands there now, and what stands there at each SIGUSR1."""
    file = Path(path)

    def read(number: int = 0, frame: FrameType | None = None) -> None:
        if file.exists():
            point, _, passes = file.read_text().rpartition(" ")
            file.unlink()
            arm(point, int(passes))  # type: ignore[arg-type]

    signal.signal(signal.SIGUSR1, read)
    read()


def arm(point: Point, passes: int) -> None:
    """Have this process die at a moment, when it comes by for the `passes`-th time."""
    owner, name, before = PLACES[point]
    original, left = getattr(owner, name), passes

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if before and not left:
            die()
        result = original(*arguments, **named)
        if left:
            return result
        if point == "committing":  # within some ms the request is on its way, or at the broker, or answered
            threading.Timer(passes % 8 / 1000, die).start()
            return result
        return die()

    setattr(owner, name, wrapped)


def die() -> None:
    """End as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)
