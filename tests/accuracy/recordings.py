"""The labelled series that accuracy is measured on, and which of them candidates are compared on.

Labels end here: what is trained never sees them. N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.real.recordings import data_folder

FAMILIES = (
    "tsbad_m", "tsbad_u", "smd", "nasa_smap", "nasa_msl", "asd", "jumpstarter2", "wsd", "nab", "skab", "mba_ecg",
    "mgab",
)  # fmt: skip
DEVELOPMENT = 3  # series of a family, drawn with seed 0 before anything was compared


class Record(msgspec.Struct, frozen=True):
    """What the data's manifest knows about a series."""

    dataset: str
    file: str
    series: str
    n_rows: int
    n_features: int
    train_rows: int

    @property
    def first(self) -> int:
        """The row from which it is judged: its benchmark judges all rows, the others those after the prefix."""
        return 0 if self.dataset.startswith("tsbad") else self.train_rows


def records(families: Sequence[str] = FAMILIES) -> list[Record]:
    """The series of some families that have a labelled event to be judged by."""
    known = msgspec.json.decode((data_folder() / "manifest.json").read_bytes(), type=list[Record])
    return [one for one in known if one.dataset in families and _has_event(data_folder() / one.file, one.first)]


def development(families: Sequence[str] = FAMILIES) -> list[Record]:
    """The few series of each family that candidates are compared on."""
    chosen: list[Record] = []
    for family in families:
        own = sorted(records([family]), key=lambda one: one.series)
        drawn = np.random.default_rng(0).permutation(len(own))[:DEVELOPMENT]
        chosen += [own[at] for at in sorted(drawn.tolist())]
    return chosen


def load(record: Record) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Readings, a second apart, and which rows are labelled."""
    frame = pd.read_parquet(data_folder() / record.file)
    label = frame["label"].to_numpy().astype(bool)
    frame = frame.drop(columns=[frame.columns[0], "label"])
    frame.index = pd.date_range("2024-01-01", periods=len(frame), freq="1s", tz="UTC")
    return frame, label


@cache
def _has_event(file: Path, first: int) -> bool:
    return bool(pd.read_parquet(file, columns=["label"])["label"].to_numpy()[first:].any())
