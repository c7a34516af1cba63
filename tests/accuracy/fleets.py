"""One artifact for a fleet beside one for each of its machines; and alerts on valves next to what is published.

Every machine is scored three times: by an artifact that was trained on the prefixes of all, by one trained on its own
alone, and, as one that the first had never seen, by an artifact of all the others, under the fleet's profile.

SKAB's figures are those of its leaderboard: every row is called anomalous or not, F1 and the share of false alarms are
of the rows of all files together. A row is called anomalous where its score is above 1: thresholds come from calibrate
alone, for a budget of one false episode in 10,000 rows.

    python -m tests.accuracy.fleets --families smd,asd,skab --autoencoders pca,lstm
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import streamae
from streamae.history.vus import period, volume
from tests.accuracy.recordings import Record, load, records
from tests.real.recordings import missing

FLEETS = "smd,asd,jumpstarter2,skab"
LEARNT = pd.Timestamp("2024-01-01", tz="UTC")  # the end of every prefix, so that all are split alike
PER_WEEK = 604_800 / 10_000  # readings are a second apart: one false episode in 10,000 of them
SCORES = ("score", "settled")
# Conv-AE, the best of SKAB's leaderboard for outliers (github.com/waico/SKAB), on 34 files of which these are some.
PUBLISHED = {"Conv-AE, published, all files": (0.78, 0.136)}


@dataclass(frozen=True)
class Machine:
    """A series, its readings laid so that the prefix ends at LEARNT, and its labels [N]."""

    record: Record
    frame: pd.DataFrame
    label: NDArray[np.bool_]

    @property
    def prefix(self) -> pd.DataFrame:
        """What is learnt from."""
        return self.frame.iloc[: self.record.train_rows]


@dataclass(frozen=True)
class Called:
    """Rows by what they are and what they are called; counts add up."""

    hit: int = 0
    false: int = 0
    missed: int = 0
    quiet: int = 0

    @classmethod
    def of(cls, called: NDArray[np.bool_], label: NDArray[np.bool_]) -> Called:
        """Of rows [N] that are called anomalous or not, and labelled or not."""
        return cls(*(int(both.sum()) for both in (called & label, called & ~label, ~called & label, ~called & ~label)))

    def __add__(self, other: Called) -> Called:
        return Called(*(getattr(self, one) + getattr(other, one) for one in ("hit", "false", "missed", "quiet")))

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.hit / max(2 * self.hit + self.false + self.missed, 1)

    @property
    def false_alarms(self) -> float:
        """The share of normal rows that are called anomalous."""
        return self.false / max(self.false + self.quiet, 1)


def machine(record: Record) -> Machine:
    """A labelled series as one of a fleet."""
    frame, label = load(record)
    frame.index = LEARNT + pd.to_timedelta(np.arange(len(frame)) - record.train_rows, unit="s")
    return Machine(record, frame.assign(series=record.series), label)


def scored(machines: Sequence[Machine], learnt: Sequence[Machine], autoencoder: str) -> tuple[pd.DataFrame, float]:
    """Scores of all rows of some machines by an artifact of the prefixes of others, and the CPU seconds to train it."""
    began = time.process_time()
    prefixes = pd.concat([one.prefix for one in learnt])
    artifact = streamae.train(prefixes, autoencoder, baselines=(), budget_per_week=PER_WEEK)
    seconds = time.process_time() - began
    return streamae.score(artifact, pd.concat([one.frame for one in machines])), seconds


def compared(machines: Sequence[Machine], autoencoder: str) -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
    """Scores of all machines by one artifact, by one each, and by one of all others; and what training took."""
    one, one_s = scored(machines, machines, autoencoder)
    each = [scored([own], [own], autoencoder) for own in machines]
    unseen = [scored([own], [other for other in machines if other is not own], autoencoder) for own in machines]
    found = {"one artifact": one, "one each": _joined(each), "as a new machine": _joined(unseen)}
    return found, {"one artifact": one_s, "one each": sum(seconds for _, seconds in each)}


def _joined(parts: Sequence[tuple[pd.DataFrame, float]]) -> pd.DataFrame:
    return pd.concat([scores for scores, _ in parts])


def volumes(machines: Sequence[Machine], scores: pd.DataFrame) -> dict[str, float]:
    """VUS-PR of both scores, the mean of all machines."""
    found: dict[str, list[float]] = {score: [] for score in SCORES}
    for one in machines:
        own, first = scores[scores["series"] == one.record.series], one.record.first
        width = period(one.frame.iloc[first:, 0].to_numpy(np.float64))
        for score, values in found.items():
            values.append(volume(one.label[first:], own[score].to_numpy(np.float64)[first:], width))
    return {score: float(np.mean(values)) for score, values in found.items()}


def called(machines: Sequence[Machine], scores: pd.DataFrame, score: str) -> Called:
    """The rows after the prefix of all machines, anomalous where the score is above 1."""
    total = Called()
    for one in machines:
        own = scores[scores["series"] == one.record.series]
        rest = slice(one.record.train_rows, None)
        total += Called.of((own[score] > 1).to_numpy()[rest], one.label[rest])
    return total


def main() -> None:
    """Run the fleets that the options name; prints tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.fleets", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--families", default=FLEETS)
    parser.add_argument("--autoencoders", default="pca,lstm")
    options = parser.parse_args()
    if why := missing():
        sys.exit(why)
    torch.set_num_threads(1)
    table: dict[Any, dict[str, float]] = {}
    valves: dict[Any, dict[str, float]] = {}
    for family in options.families.split(","):
        machines = [machine(record) for record in records([family])]
        for autoencoder in options.autoencoders.split(","):
            scores, seconds = compared(machines, autoencoder)
            for how, found in scores.items():
                key = (family, len(machines), autoencoder, how)
                table[key] = volumes(machines, found) | {"CPU s to train": seconds.get(how, np.nan)}
                if family == "skab":
                    valves |= {(*key[2:], score): _figures(called(machines, found, score)) for score in SCORES}
        if family == "skab":
            label = np.concatenate([one.label[one.record.train_rows :] for one in machines])
            valves["everything", "", ""] = _figures(Called.of(np.ones(len(label), np.bool_), label))
    print("\nVUS-PR, mean of machines\n" + pd.DataFrame(table).T.round(3).to_string())
    if valves:
        valves |= {(name, "", ""): {"F1": f1, "FAR %": 100 * far} for name, (f1, far) in PUBLISHED.items()}
        print("\nSKAB, rows called anomalous\n" + pd.DataFrame(valves).T.round(3).to_string())


def _figures(found: Called) -> dict[str, float]:
    return {"F1": found.f1, "FAR %": 100 * found.false_alarms}


if __name__ == "__main__":
    main()
