"""How much memory `serve` holds: 1,000 series of a trained LSTM autoencoder on a real broker.

python -m tests.serving.memory
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from streamae import config as configs
from streamae.batch import now_ms
from streamae.detection.artifact import Artifact
from streamae.simulation import SimulationSpec, config_text, records, simulate
from streamae.topics.topics import Output
from streamae.training import job
from tests.kafka.broker import Broker
from tests.serving.process import Process
from tests.serving.stand import Stand, wait_for

SERIES, TICKS = 1_000, 120
PATIENCE_S = 300.0


def resident_mb(pid: int) -> str:
    """What the process holds now, and the most it ever held."""
    facts = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, most = (int(facts[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))
    return f"{now} MB resident, {most} MB at most"


def trained(spec: SimulationSpec, folder: Path) -> Artifact:
    """A small fleet's LSTM autoencoder, under the stand's name."""
    config = configs.parse(config_text(spec).replace('"pumps"', '"tiny"'), folder)
    return job.train(config, simulate(spec).history.frame())


def publish(stand: Stand, spec: SimulationSpec) -> int:
    """Every series repeats the live readings of one pump, tick by tick; returns how many readings that were."""
    names = [b"pump-%04d" % number for number in range(SERIES)]
    topic, live = stand.config.topics.readings, list(records(simulate(spec).live))
    writer = stand.store.writer()
    for _, value, time_ms in live:
        writer.write([Output(topic, name, value, timestamp=time_ms) for name in names])
    writer.close()
    return len(live) * SERIES


def main() -> None:
    """Serve, publish, and print what is held when idle, when loaded, and after kill -9 and restore."""
    spec = SimulationSpec(seed=0, end_ms=now_ms(), series=1, history_days=3, live_days=TICKS / 1440)
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        stand = Stand(f"kafka://{broker.address}", "memory", Path(folder), partitions=4)
        channels = {name: f"$.{name}" for name in ("temperature", "pressure", "vibration", "current")}
        stand.changes = {
            "readings": {"channels": channels},
            "windows": {"cadence_s": 60, "length": 32, "stride": 4, "max_lag_s": 7200.0},
            "serving": {"commit_interval_ms": 200, "refresh_s": 2.0, "scores": "off"},
        }
        stand.champion(trained(spec, Path(folder)))
        process = Process(stand)
        process.start()
        wait_for(lambda: process.state() == "running", PATIENCE_S)
        print("idle:", resident_mb(process.pid))
        began = time.monotonic()
        written = publish(stand, spec)
        wait_for(lambda: process.committed() >= written, PATIENCE_S)
        seconds = time.monotonic() - began
        print(f"{written:,} readings of {SERIES:,} series in {seconds:.0f} s:", resident_mb(process.pid))
        process.kill()
        process.start()
        wait_for(lambda: process.state() == "running", PATIENCE_S)
        print("restored after kill -9:", resident_mb(process.pid))
        process.stop()
        stand.close()


if __name__ == "__main__":
    main()
