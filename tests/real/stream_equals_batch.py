"""What serving publishes held against `streamae score` and `streamae.score`, on the same readings: window by window.

Recorded series go through a broker into `streamae serve`, as a file into `streamae score`, and as a frame into
`streamae.score`. Nothing may differ, but for the newest windows: those that no later reading has closed yet are in the
file only. The notebook's function scores every row; the row that ends a window is held against that window.

    python -m tests.real.stream_equals_batch --series smd:machine-1-6,skab:valve1_0
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import streamae
from streamae import config as configs
from streamae.batch import train_and_register
from streamae.config import Config
from streamae.detection.json_records import JsonDecoder
from streamae.detection.manifest import Channel
from streamae.detection.readings import RecordColumns
from streamae.serving.child import free_port
from streamae.serving.outputs import PackedScores
from streamae.topics import open_store
from streamae.training.episodes import everything
from tests.kafka.broker import Broker
from tests.real.recordings import SETS, DataSet, Recording, config_text, load, missing
from tests.real.replay import publish, serve

USUAL = ("smd:machine-1-6", "smap:G-2", "msl:T-9")
TOLERANCE = 1e-5  # relative; on one machine and runtime it is expected to be 0
KEY = ["series", "start"]
WITH_ROW = 0.9  # of the windows, at least, end in a row that has a score
DIFFERENCES = ("difference", "notebook")

Facts = dict[str, Any]


def compare(config: Config, scores: Path) -> Facts:
    """Hold `<service>.scores`, in either form, against the file that `streamae score` wrote of the same readings.

    `both`, `only_live`, `only_batch`: windows; `unclosed`: of those only in the file, the ones that nothing has closed
    live; `difference`: the largest relative one of score, settled score and channel errors; `flips`: windows that are
    anomalous on one side only. `equal` says that all is as it should be.
    """
    live, closed = published(config), closed_until(config)
    batch = pd.read_parquet(scores)
    batch["start"], batch["end"] = (batch[name].astype("int64") for name in ("start", "end"))
    assert not live.duplicated(KEY).any() and not batch.duplicated(KEY).any()
    both = live.merge(batch, on=KEY, how="outer", suffixes=("_live", "_batch"), indicator=True)
    side = both["_merge"]
    lone = both[side == "right_only"]
    unclosed = lone["end_batch"].to_numpy() > lone["series"].map(closed).fillna(-np.inf).to_numpy()
    paired = both[side == "both"]
    numbers = ["score", "settled", *(name for name in batch.columns if name.startswith("error_"))]
    differences = [difference(paired[f"{name}_live"], paired[f"{name}_batch"]) for name in numbers]
    found: Facts = {
        "series": sorted(set(live["series"]) | set(batch["series"])),
        "both": len(paired),
        "only_live": int((side == "left_only").sum()),
        "only_batch": len(lone),
        "unclosed": int(unclosed.sum()),
        "difference": max(differences, default=0.0),
        "flips": int(((paired["score_live"] > 1) != (paired["score_batch"] > 1)).sum()),
    }
    same_ends = bool((paired["end_live"] == paired["end_batch"]).all())
    found["equal"] = (
        found["both"] > 0
        and same_ends
        and found["only_live"] == found["flips"] == 0
        and found["only_batch"] == found["unclosed"]
        and found["difference"] <= TOLERANCE
    )
    return found


def compare_rows(config: Config, frame: pd.DataFrame) -> float:
    """The largest relative difference between published scores and those of `streamae.score` in a window's last row.

    A window that ends in silence has no row there, and the notebook says nothing of one that is mostly silent.
    """
    artifact = streamae.load(config.registry, config.model)
    rows = streamae.score(artifact, frame).assign(time=frame["time"]).dropna(subset="score")
    live = published(config)
    live["time"] = live["end"] - config.windows.spec().cadence_ms
    paired = live.merge(rows, on=["series", "time"], suffixes=("_live", "_rows"))
    if len(paired) < WITH_ROW * len(live):
        raise ValueError(f"{len(live) - len(paired)} of {len(live)} published windows end with no scored row")
    names = ["score", *(name for name in rows.columns if name.startswith("error_"))]
    return max(difference(paired[f"{name}_live"], paired[f"{name}_rows"]) for name in names)


def difference(live: Any, batch: Any) -> float:
    """The largest relative difference; numbers that are both 0 do not differ."""
    one, other = live.to_numpy(np.float64), batch.to_numpy(np.float64)
    largest = np.maximum(np.abs(one), np.abs(other))
    return float(np.max(np.abs(one - other) / np.where(largest > 0, largest, 1), initial=0))


def published(config: Config) -> pd.DataFrame:
    """Every window on the topic of scores, packed or not."""
    with open_store(config.topics.store, **config.topics.client) as store:
        rows = everything(store, config.topic("scores"), "earliest")
        values = [value for records in rows for value in records.value if value]
    frames = [_packed(value) if value[:1] != b"{" else _plain(value) for value in values]
    return pd.concat(frames, ignore_index=True)


def _plain(value: bytes) -> pd.DataFrame:
    row = msgspec.json.decode(value)
    errors = {f"error_{name}": error for name, error in row.pop("channels").items()}
    return pd.DataFrame([row | errors])


def _packed(value: bytes) -> pd.DataFrame:
    packed = msgspec.msgpack.decode(value, type=PackedScores)
    columns: dict[str, Any] = {"series": packed.series}
    columns |= {name: np.frombuffer(getattr(packed, name), "<i8") for name in ("start", "end")}
    columns |= {name: np.frombuffer(getattr(packed, name), "<f8") for name in ("score", "settled")}
    errors = np.frombuffer(packed.channel_error, "<f4").reshape(-1, len(packed.channels))
    columns |= {f"error_{name}": errors[:, at] for at, name in enumerate(packed.channels)}
    return pd.DataFrame(columns).assign(version=packed.version)


def closed_until(config: Config) -> dict[str, int]:
    """The event time in ms up to which each series' windows are closed live, by the readings on the topic."""
    decoder = JsonDecoder(config.readings.mapping(), [Channel(name=name) for name in config.readings.channels])
    newest: dict[str, int] = {}
    partition_of: dict[str, int] = {}
    with open_store(config.topics.store, **config.topics.client) as store:
        for records in everything(store, config.topics.readings, "earliest"):
            columns = RecordColumns(records.offset, records.timestamp, records.key, records.value)
            readings = decoder.decode(columns).readings
            for at, name in enumerate(readings.names):
                latest = int(readings.time[readings.series == at].max())
                newest[name] = max(newest.get(name, latest), latest)
                partition_of[name] = records.partition
    lateness, cadence = config.windows.lateness(), config.windows.spec().cadence_ms
    of_partition: dict[int, int] = {}
    for name, latest in newest.items():
        partition = partition_of[name]
        of_partition[partition] = max(of_partition.get(partition, latest), latest)
    passed = {
        name: max(latest - lateness.lateness_ms, of_partition[partition_of[name]] - lateness.max_lag_ms)
        for name, latest in newest.items()
    }
    return {name: time // cadence * cadence for name, time in passed.items()}


def score(config_path: Path, readings: Path) -> Path:
    """Run `streamae score`; returns the file that it wrote."""
    out = readings.with_name("scores.parquet")
    command = [sys.executable, "-m", "streamae", "score", str(config_path), str(readings), "--out", str(out), "--force"]
    subprocess.run(command, check=True, capture_output=True)
    return out


def recorded(url: str, folder: Path, kind: DataSet, one: Recording, form: str, steps: int = 20) -> Facts:
    """Train on a recording's prefix; serve and score the rest; compare."""
    service = f"{kind.name}.{one.name}.{form}"
    folder = folder / service
    folder.mkdir(parents=True)
    one.history().to_parquet(folder / "history.parquet")
    places: dict[str, str | int] = {"port": free_port(), "steps": steps, "service": service, "store": url}
    text = config_text(kind, one.channels, "lstm", places | {"topic": f"{service}.readings"})
    path = folder / "streamae.toml"
    path.write_text(f'{text}scores = "{form}"\n', encoding="utf-8")
    config = configs.load(path)
    train_and_register(config, promote=False, console=Console(quiet=True))
    with open_store(url) as store:
        publish(store, config.topics.readings, [one])
    serve(config, folder, one.live)
    live = pd.DataFrame(dict(zip(one.channels, one.values[one.prefix :].T, strict=True)))
    live.insert(0, "time", one.time[one.prefix :])
    live = live.assign(series=one.name)
    live.to_parquet(folder / "live.parquet")
    found = compare(config, score(path, folder / "live.parquet"))
    notebook = compare_rows(config, live)
    equal = found["equal"] and notebook <= TOLERANCE
    return {"series": one.name, "form": form, **found, "notebook": notebook, "equal": equal}


def rows(url: str, folder: Path, wanted: list[str], steps: int) -> Iterator[Facts]:
    """A comparison a series, with scores in turn packed and plain."""
    now = time.time_ns() // 1_000_000
    for at, name in enumerate(wanted):
        kind, _, series = name.partition(":")
        (one,) = load(SETS[kind], now, names=[series])
        yield recorded(url, folder, SETS[kind], one, ("packed", "json")[at % 2], steps) | {"series": name}


def table(found: list[Facts]) -> Table:
    """The comparisons for people."""
    names = [
        "series",
        "form",
        "both",
        "only_live",
        "only_batch",
        "unclosed",
        "difference",
        "notebook",
        "flips",
        "equal",
    ]
    drawn = Table(*(name.replace("_", " ") for name in names))
    for row in found:
        drawn.add_row(*(f"{row[name]:g}" if name in DIFFERENCES else str(row[name]) for name in names))
    return drawn


def main() -> None:
    """Compare on a broker of its own; exits 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.real.stream_equals_batch", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--series", default=",".join(USUAL), help="as set:series,...")
    parser.add_argument("--steps", type=int, default=300, help="that the network is trained for")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    options = parser.parse_args()
    wanted = options.series.split(",")
    if why := missing(*(SETS[one.partition(":")[0]] for one in wanted)):
        sys.exit(why)
    with Broker() as broker, tempfile.TemporaryDirectory(prefix="streamae-equal-") as folder:
        found = list(rows(f"kafka://{broker.address}", Path(folder), wanted, options.steps))
    if options.json:
        print(json.dumps(found))
    else:
        Console(width=120).print(table(found))
    sys.exit(not all(row["equal"] for row in found))


if __name__ == "__main__":
    main()
