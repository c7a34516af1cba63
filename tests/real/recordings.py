"""Recorded machines: the data sets, their labels, and the one config that holds for all series of a set.

Labels end here and in `figures.py`: what is trained and served never sees them. N rows, C channels.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from streamae.training.matching import Event

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class DataSet:
    """Series of one kind. Everything here follows from cadence and length of the prefix, nothing from labels.

    The budget is the same for every set: one false episode in 10,000 readings.
    """

    name: str
    files: str
    cadence_s: int
    length: int  # of a window, in ticks
    stride: int
    fit: float  # shares of the prefix
    calibrate: float
    scored: tuple[str, ...] = ()  # the channels that are watched, the others being context; none named: all

    @property
    def cadence_ms(self) -> int:
        """In ms."""
        return self.cadence_s * 1000

    @property
    def budget_per_week(self) -> float:
        """One false episode in 10,000 readings."""
        return 604_800 / self.cadence_s / 10_000


# SMD: servers, a reading a minute, 16 days of prefix: room for what is usual, the judge span included.
# SKAB: valves of a water circuit, a reading a second, 7 minutes of prefix: a window of half the usual length, as a
# notebook would take for so few, half of the prefix to calibrate on, and no judge span.
# SMAP, MSL: a satellite and a rover. A series is one telemetry value, f0, and the commands of its subsystem as switches
# (Hundman et al., "Detecting Spacecraft Anomalies Using LSTMs and Nonparametric Dynamic Thresholding", 2018): what was
# commanded is no fault, so that commands are context. The data gives no time; a reading a minute is assumed, on which
# only delays and rates per week depend. Prefixes are of 439 to 4,308 readings, and what is left over of 439 would judge
# nothing: half to fit, half to calibrate, no judge span.
SETS = {
    "smd": DataSet("smd", "smd/machine-*.parquet", cadence_s=60, length=128, stride=4, fit=0.55, calibrate=0.3),
    "skab": DataSet("skab", "skab/valve1_*.parquet", cadence_s=1, length=64, stride=4, fit=0.5, calibrate=0.5),
    "smap": DataSet("smap", "nasa_smap/*.parquet", 60, length=128, stride=4, fit=0.5, calibrate=0.5, scored=("f0",)),
    "msl": DataSet("msl", "nasa_msl/*.parquet", 60, length=128, stride=4, fit=0.5, calibrate=0.5, scored=("f0",)),
}


class _Facts(msgspec.Struct):
    """What the data's manifest knows about a series."""

    file: str
    train_rows: int


@dataclass(frozen=True)
class Recording:
    """One series: a prefix to learn from, then what is replayed."""

    name: str
    channels: tuple[str, ...]
    time: NDArray[np.int64]  # [N] ms
    values: NDArray[np.float32]  # [N, C]
    label: NDArray[np.bool_]  # [N]
    prefix: int  # rows

    @property
    def live(self) -> int:
        """How many rows are replayed."""
        return len(self.time) - self.prefix

    def history(self) -> pd.DataFrame:
        """The prefix, as `streamae train` takes it."""
        columns = dict(zip(self.channels, self.values[: self.prefix].T, strict=True))
        time = pd.to_datetime(self.time[: self.prefix], unit="ms", utc=True)
        return pd.DataFrame({"series": self.name, "time": time, **columns})

    def events(self, cadence_ms: int) -> list[Event]:
        """Runs of labelled rows in what is replayed."""
        label = np.concatenate([[False], self.label[self.prefix :], [False]])
        edges = np.flatnonzero(np.diff(label)).reshape(-1, 2) + self.prefix
        return [Event(self.name, int(self.time[a]), int(self.time[b - 1]) + cadence_ms) for a, b in edges.tolist()]


def data_folder() -> Path:
    """Where the data lies: STREAMAE_DATA, or beside the repository."""
    return Path(os.environ.get("STREAMAE_DATA") or ROOT.parent / "shared" / "data")


def missing(*kinds: DataSet) -> str:
    """Why there is nothing to run these sets on; empty where there is."""
    folder = data_folder()
    if not (folder / "manifest.json").is_file():
        return f"no {folder / 'manifest.json'}: name the folder of labelled series in STREAMAE_DATA"
    for kind in kinds:
        listed = [facts.file for facts in _listed(kind)]
        absent = [file for file in listed if not (folder / file).is_file()]
        if absent or not listed:
            return f"{kind.name}: {folder} lacks {absent[0] if absent else kind.files}; leave the set out with --sets"
    return ""


def load(kind: DataSet, end_ms: int, most: int | None = None, names: Sequence[str] = ()) -> list[Recording]:
    """The series of a set, at most so many or those of these names, as they will be replayed: all at once.

    They are laid in time so that they end by `end_ms` and begin at a whole stride from the epoch: whenever it is run,
    the same windows are cut. Only the start is moved: gaps between readings stay as they were recorded.
    Raises ValueError where there are none.
    """
    chosen = [facts for facts in _listed(kind) if not names or Path(facts.file).stem in names][:most]
    if not chosen:
        raise ValueError(f"{kind.name} has no series {', '.join(names)}".rstrip())
    recordings = [_read(facts, kind) for facts in chosen]
    longest = max(int(one.time[-1] - one.time[one.prefix]) for one in recordings)
    step = kind.stride * kind.cadence_ms
    return [_moved(one, (end_ms - longest) // step * step) for one in recordings]


def _listed(kind: DataSet) -> list[_Facts]:
    """The series of a set, by file."""
    manifest = msgspec.json.decode((data_folder() / "manifest.json").read_bytes(), type=list[_Facts])
    chosen = [facts for facts in manifest if Path(facts.file).match(kind.files)]
    return sorted(chosen, key=lambda facts: facts.file)


def _read(facts: _Facts, kind: DataSet) -> Recording:
    frame = pd.read_parquet(data_folder() / facts.file)
    clock, *channels, label = frame.columns
    if clock == "timestamp":
        time = frame[clock].to_numpy("datetime64[ms]").astype(np.int64)
    else:
        time = frame[clock].to_numpy(np.int64) * kind.cadence_ms
    values = frame[channels].to_numpy(np.float32)
    return Recording(
        Path(facts.file).stem, tuple(channels), time, values, frame[label].to_numpy() > 0, facts.train_rows
    )


def _moved(one: Recording, begin: int) -> Recording:
    time = one.time - one.time[one.prefix] + begin
    return Recording(one.name, one.channels, time, one.values, one.label, one.prefix)


def records(recordings: Sequence[Recording]) -> Iterator[tuple[bytes, bytes, int]]:
    """What is replayed, by event time: (key, wide JSON record, event time in ms)."""
    encode = msgspec.json.Encoder().encode
    rows = sorted((int(one.time[row]), at, row) for at, one in enumerate(recordings) for row in _live(one))
    for time, at, row in rows:
        one = recordings[at]
        values = dict(zip(one.channels, one.values[row].tolist(), strict=True))
        yield one.name.encode(), encode({"time": time, **values}), time


def _live(one: Recording) -> range:
    return range(one.prefix, len(one.time))


def config_text(kind: DataSet, channels: Sequence[str], autoencoder: str, places: dict[str, str | int]) -> str:
    """The config of a service for some series of a set; `places` name service, store, topic, port and steps."""
    mapping = ", ".join(f'{name} = "$.{name}"' for name in channels)
    context = [name for name in channels if kind.scored and name not in kind.scored]
    return f"""\
service = "{places["service"]}"
model = "{places["service"]}"

[topics]
store = "{places["store"]}"
readings = "{places["topic"]}"

[readings]
channels = {{ {mapping} }}

[windows]
cadence_s = {kind.cadence_s}
length = {kind.length}
stride = {kind.stride}

[training]
files = ["history.parquet"]
autoencoder = "{autoencoder}"
steps = {places["steps"]}
budget_per_week = {kind.budget_per_week}
spans = {{ fit = {kind.fit}, calibrate = {kind.calibrate} }}
context = {context}

[serving]
http_port = {places["port"]}
"""
