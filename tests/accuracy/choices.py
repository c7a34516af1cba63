"""What each choice of rule comes to on one recorded series: errors are made once, and held against every choice.

A choice is a rule that makes thresholds, whether the budget is kept, and how many windows in a row fire.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd
import torch

from streamae import config as configs
from streamae.config import Config, ThresholdRule, Training
from streamae.detection.scoring import Scorer
from streamae.history.candidates import normal_errors
from streamae.history.past import Past, Thresholds, look_back
from streamae.history.stored import Stored
from streamae.training import files, job
from streamae.training.calibration import Budget, NormalErrors, calibrate
from streamae.training.matching import Alerted, Event, match
from streamae.training.series import usual
from streamae.training.thresholds import RULES
from tests.real.recordings import DataSet, Recording, config_text

WITH_COMMANDS = ("nasa_smap", "nasa_msl")  # of which all but the telemetry value are context, as in `make real`
FILES = {name: f"{name}/*.parquet" for name in ("asd", "jumpstarter2", *WITH_COMMANDS, "smd")}
FILES |= {"skab": "skab/valve*.parquet"} | {name: f"{name}/*.parquet" for name in ("nab", "wsd", "mba_ecg", "mgab")}
FAMILIES = {  # windows have the usual length for what is known of a series
    name: DataSet(name, pattern, 60, 128, 4, 0.5, 0.5, ("f0",) if name in WITH_COMMANDS else ())
    for name, pattern in FILES.items()
}
END_MS = 1_800_000_000_000
ROWS = 10_000  # in which one false episode is allowed
APART = 32  # rows


class Choice(NamedTuple):
    """How alerts come from errors."""

    rule: ThresholdRule
    keep_budget: bool
    fire_after: int

    def __str__(self) -> str:
        return f"{self.rule}, {self.fire_after} windows{', kept' if self.keep_budget else ''}"


CHOICES = [Choice(*each) for each in product(RULES, (False, True), (2, 4, 8))]


@dataclass(frozen=True)
class Seen:
    """What one choice came to on some series; figures add up."""

    series: int = 0
    in_budget: int = 0
    rows: int = 0
    normal: int = 0  # rows that are not labelled
    in_alert: int = 0  # of them
    false: int = 0
    events: int = 0
    found: int = 0
    afresh: int = 0

    def __add__(self, other: Seen) -> Seen:
        return Seen(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    @property
    def recall(self) -> float:
        return self.found / max(self.events, 1)

    @property
    def per_budget(self) -> float:
        """False episodes where the budget allows one."""
        return self.false * ROWS / max(self.normal, 1)

    @property
    def kept(self) -> float:
        """The share of series in budget."""
        return self.in_budget / max(self.series, 1)


def seen(kind: DataSet, recording: Recording, autoencoder: str) -> dict[Choice, Seen]:
    """What each choice comes to on one series."""
    torch.set_num_threads(1)
    ticks = np.arange(len(recording.time)) - recording.prefix
    one = replace(recording, time=END_MS + ticks * kind.cadence_ms)  # a reading a tick: budgets are of rows
    places: dict[str, str | int] = {"service": "budget", "store": "embedded://none.db", "topic": "readings"}
    places |= {"steps": Training().steps, "port": 0}
    length, _ = usual(files.table(one.history(), list(one.channels)), kind.cadence_ms)
    kind = replace(kind, length=length)
    config = configs.parse(config_text(kind, one.channels, autoencoder, places))
    config = msgspec.structs.replace(config, training=msgspec.structs.replace(config.training, baselines=()))
    scorer = Scorer(job.train(config, one.history()))
    errors = normal_errors(_past(scorer, config, one.history()))
    past = _past(scorer, config, _frame(one, one.prefix - kind.length))
    return {choice: _judged(one, kind, _alerts(past, errors, choice)) for choice in CHOICES}


def _past(scorer: Scorer, config: Config, frame: pd.DataFrame) -> Past:
    table = files.table(frame, list(config.readings.channels))
    return look_back(scorer, Stored.of(table, scorer.artifact.manifest), config.rules())


def _frame(one: Recording, begin: int) -> pd.DataFrame:
    """All rows from one on, as a prefix that begins there."""
    rest = slice(begin, None)
    return replace(one, time=one.time[rest], values=one.values[rest], prefix=len(one.time) - begin).history()


def _alerts(past: Past, errors: Sequence[NormalErrors], choice: Choice) -> list[Alerted]:
    """The episodes under the thresholds that a choice calibrates."""
    manifest = past.manifest
    known = calibrate(errors, Budget(manifest.budget_per_week, manifest.window, choice.fire_after, choice.rule))
    policy = msgspec.structs.replace(past.rules.policy, fire_after=choice.fire_after, keep_budget=choice.keep_budget)
    then = replace(past, rules=msgspec.structs.replace(past.rules, policy=policy))
    told = then.episodes(Thresholds(known.fleet, known.series, manifest.budget_per_week))
    return [Alerted(each.alert.series, each.alert.start, each.alert.end, each.known) for each in told]


def _judged(one: Recording, kind: DataSet, alerts: Sequence[Alerted]) -> Seen:
    rows = len(one.time) - one.prefix
    end, near = END_MS + rows * kind.cadence_ms, APART * kind.cadence_ms
    episodes = [each for each in joined(alerts, near, end) if each[1] > END_MS]
    events = [(each.start, each.end) for each in one.events(kind.cadence_ms)]
    held = match(
        [Alerted(one.name, start, until, start) for start, until in episodes],
        [Event(one.name, *each) for each in events],
        near,
    )
    afresh = [
        any(start - near <= begun < stop + near and until >= start for begun, until in episodes)
        for start, stop in events
    ]
    time, normal = one.time[one.prefix :], ~one.label[one.prefix :]
    within = np.zeros(rows, np.bool_)
    for begun, until in episodes:
        within |= (time >= begun) & (time < until)
    return Seen(
        series=1,
        in_budget=int(len(held.false) <= max(1, math.ceil(rows / ROWS))),
        rows=rows,
        normal=int(normal.sum()),
        in_alert=int((normal & within).sum()),
        false=len(held.false),
        events=len(events),
        found=held.found,
        afresh=sum(afresh),
    )


def joined(alerts: Iterable[Alerted], near: int, end: int) -> list[tuple[int, int]]:
    """Times [start, end) of alerts, those that are near each other as one; what has not ended lasts until the end."""
    joined: list[tuple[int, int]] = []
    for start, until in sorted((each.start, end if each.end is None else each.end) for each in alerts):
        if joined and start - joined[-1][1] <= near:
            joined[-1] = joined[-1][0], max(until, joined[-1][1])
        else:
            joined.append((start, until))
    return joined
