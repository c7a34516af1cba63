"""How long a service needs to fill its windows again after kill -9, beside how fast it serves, on a real broker.

python -m tests.serving.restoring --series 1000,50000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streamae.topics.topics import Output
from tests.graphs import tiny_artifact
from tests.kafka.broker import Broker
from tests.serving.process import Process
from tests.serving.stand import CALM, Stand, at, reading, wait_for

LENGTH, STRIDE = 32, 4
TICKS = 48  # readings of each series: a window and a half
PATIENCE_S = 900.0


def publish(stand: Stand, series: int) -> int:
    """Every series at every tick; returns how many readings that were."""
    topic, names = stand.config.topics.readings, [b"pump-%06d" % number for number in range(series)]
    writer = stand.store.writer()
    for tick in range(TICKS):
        value = reading(tick, CALM)
        for first in range(0, series, 10_000):
            writer.write([Output(topic, name, value, timestamp=at(tick)) for name in names[first : first + 10_000]])
    writer.close()
    return series * TICKS


def measured(broker: Broker, series: int) -> tuple[float, float, int, float]:
    """Seconds to serve and to restore; how many readings were read again; seconds from the kill until all ran again."""
    with tempfile.TemporaryDirectory() as folder:
        stand = Stand(f"kafka://{broker.address}", f"restoring-{series}", Path(folder), partitions=4)
        stand.changes = {
            "windows": {"length": LENGTH, "stride": STRIDE},
            "serving": {"commit_interval_ms": 200, "refresh_s": 2.0, "scores": "off"},
        }
        stand.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
        written = publish(stand, series)
        process = Process(stand)
        process.start()
        wait_for(lambda: process.state() in ("restoring", "running"), PATIENCE_S)
        began = time.monotonic()
        wait_for(lambda: process.committed() >= written, PATIENCE_S)
        served_s = time.monotonic() - began
        process.kill()
        killed = time.monotonic()
        process.start()
        wait_for(lambda: process.state() == "restoring", PATIENCE_S)
        began = time.monotonic()
        wait_for(lambda: process.state() == "running", PATIENCE_S)
        restored_s, away_s = time.monotonic() - began, time.monotonic() - killed
        again = series * (TICKS - (TICKS - LENGTH) // STRIDE * STRIDE)
        process.stop()
        stand.close()
        return served_s, restored_s, again, away_s


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="1000,50000")
    table = Table(
        "series", "served, readings/s", "read again", "restored in s", "readings/s", "from kill to running, s"
    )
    with Broker() as broker:
        for series in map(int, parser.parse_args().series.split(",")):
            served_s, restored_s, again, away_s = measured(broker, series)
            rates = f"{series * TICKS / served_s:,.0f}", f"{again:,}", f"{restored_s:.1f}", f"{again / restored_s:,.0f}"
            table.add_row(f"{series:,}", *rates, f"{away_s:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
