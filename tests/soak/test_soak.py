"""What a soak computes: slopes, growth, lag after faults, and the log that it publishes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from tests.serving.fleet import endless_log
from tests.serving.stand import at
from tests.soak.report import SETTLED_S, failures, lasting, most_behind, slope, tables
from tests.soak.samples import EVERY_S, Behind, Fault, Idle, Line, Load, Notes, Outputs, Sample, sample

EQUAL = Outputs("alerts", 900, 0, 0, 0)


def life(count: Callable[[int], int], worker: str = "a", number: int = 1, begin: int = 0, end: int = 500) -> list[Line]:
    """Samples of a life; `count` gives the descriptors of each."""
    return [
        Sample(i * EVERY_S, worker, number, 200 + i / 1000, count(i), 9, i * EVERY_S / 10) for i in range(begin, end)
    ]


def steady(i: int) -> int:
    """Descriptors that come and go."""
    return 30 + i % 4


def test_a_slope_is_found_within_its_interval() -> None:
    random = np.random.default_rng(3)
    at_s = np.arange(0, 3600, EVERY_S)
    found = [slope(at_s, 100 + 2 * at_s / 3600 + random.normal(0, 1, len(at_s))) for _ in range(300)]
    within = [abs(one.per_hour - 2) < one.give_or_take for one in found]
    assert 0.9 < np.mean(within) < 0.99


def test_samples_that_are_alike_make_an_interval_wider() -> None:
    """Memory wanders: whoever takes 5 s apart for independent finds a slope in any hour."""
    random = np.random.default_rng(3)
    at_s = np.arange(0, 3600, EVERY_S)
    noise = random.normal(0, 1, (300, len(at_s)))
    for i in range(1, len(at_s)):
        noise[:, i] += 0.9 * noise[:, i - 1]
    within = [abs(one.per_hour) < one.give_or_take for one in (slope(at_s, values) for values in noise)]
    assert 0.9 < np.mean(within) <= 1


def test_what_never_changes_has_no_slope() -> None:
    assert slope(np.arange(20.0), np.full(20, 7.0)) == pytest.approx((0, 0), abs=1e-9)


def test_only_lives_that_last_are_looked_at_once_they_have_settled() -> None:
    lines = life(steady) + life(steady, "b", 1, 0, 150) + life(steady, "b", 2, 150, 500)
    found = [(one.samples[0].worker, one.samples[0].life, one.samples[0].at) for one in lasting(lines)]
    assert found == [("a", 1, SETTLED_S), ("b", 2, 150 * EVERY_S + SETTLED_S)]


@pytest.mark.parametrize(
    ("count", "grows"),
    [
        (steady, False),
        (lambda i: steady(i) + i // 25, True),  # one that stays open, every other minute
        (lambda i: steady(i) + i // 60, True),
        (lambda i: steady(i) + 8 * (i > 300), False),  # the first connections to a broker
        (lambda i: 30 + (0, 1, 2, 3)[i // 125 % 4] + 4 * (i == 100), False),
        (lambda i: steady(i) + 90 * (i == 480), False),
    ],
)
def test_descriptors_that_go_on_growing_are_found(count: Callable[[int], int], grows: bool) -> None:
    lines = [*life(count), EQUAL]
    assert failures(lines) == (["descriptors of worker a grow"] if grows else [])


def test_outputs_must_be_equal_and_have_been_compared() -> None:
    assert failures(life(steady)) == ["outputs were not compared"]
    assert failures([*life(steady), EQUAL, Outputs("scores", 900, 0, 0, 1)]) == ["scores are not equal"]


def test_lag_is_looked_at_until_all_had_been_caught_up_with() -> None:
    lines: list[Line] = [Behind(float(at), 10 * at) for at in range(95, 130)]
    assert most_behind(Fault(100.0, "frozen", 10.0, 5.0), lines) == 1150
    assert most_behind(Fault(200.0, "frozen", 10.0, 5.0), lines) == 0


def test_whatever_there_is_is_shown() -> None:
    fault = Fault(300.0, "frozen", 13.0, 4.0)
    everything: list[Line] = [Load(4000.0, 2000.0), *life(steady), fault, Idle("a", 0.02), EQUAL]
    for lines in ([], everything[:3], everything):
        console = Console(record=True, width=140)
        for table in tables(lines):
            console.print(table)
        shown = console.export_text()
    for cell in ("2,000", "│ frozen", "13.0", "+0.7 ± 0.0", "30, 33, 33", "10%", "2.0%", "│ 900"):
        assert cell in shown


def test_a_line_is_on_disk_as_soon_as_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "build" / "soak.jsonl"
    notes = Notes(file)
    told: list[Line] = [Load(2.0, 1.0), sample(notes.at(), "a", 1, os.getpid())]
    for line in told:
        notes.add(line)
    assert [msgspec.json.decode(line, type=Line) for line in file.read_bytes().splitlines()] == told
    mine = told[1]
    assert isinstance(mine, Sample)
    assert mine.threads >= threading.active_count()
    assert mine.memory_mb > 10
    assert mine.descriptors > 2


def test_an_endless_log_is_a_fleet_at_work() -> None:
    batches = list(islice(endless_log("readings", 5, 40, -1000), 200))
    again = list(islice(endless_log("readings", 5, 40, -1000), 200))
    assert batches == again
    records = [record for batch in batches for record in batch]
    assert len({record.value for record in records}) == len(records)
    assert {record.key for record in records} == {b"pump-%d" % pump for pump in range(40)}
    assert 30 < np.mean([len(batch) for batch in batches[10:]]) < 42
    newest = [max(record.timestamp or 0 for record in batch) for batch in batches[4:]]
    assert all(0 <= later - earlier <= 2000 for earlier, later in pairwise(newest))
    oldest = [min(record.timestamp or 0 for record in batch) for batch in batches[4:]]
    assert np.median(np.subtract(newest, oldest)) > 2000  # they arrive in disorder
    assert at(-1000 + 198) <= newest[-1] <= at(-1000 + 199)
