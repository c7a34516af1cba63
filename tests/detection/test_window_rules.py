"""The rules of windows, drawn. A character is a reading at that tick (0 to 9, then a to z), in order of arrival;
a window is drawn as its ticks, with a dot for silence.

    "01234567"  of length 4, every 2:   ..01 -> 0123 -> 2345   (the next one, 4567, ends at tick 8: not yet)
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamae.detection.grid import Lateness
from streamae.detection.manifest import WindowSpec
from streamae.detection.windows import Pushed, Windower
from tests.naive import Reading
from tests.strategies import columns

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SERIES = "pump-2"  # its windows start at even ticks, where there is one every 2, and at tick 0 where every 4


def push(drawn: str, late: int = 0, lag: int = 100, length: int = 4, stride: int = 2) -> Pushed:
    """Readings of one series, a value each that tells its tick; a cadence is 10 ms."""
    spec = WindowSpec(length=length, stride=stride, cadence_ms=10)
    log = [Reading(SERIES, 10 * DIGITS.index(tick), (DIGITS.index(tick),), at) for at, tick in enumerate(drawn)]
    lateness = Lateness(lateness_ms=10 * late, max_lag_ms=10 * lag)
    return Windower(spec, lateness, channels=1).push(columns(log, channels=1))


def drawing(pushed: Pushed) -> list[str]:
    return ["".join("." if math.isnan(v) else DIGITS[int(v)] for v in w) for w in pushed.windows.values[:, :, 0]]


@pytest.mark.parametrize(
    ("readings", "windows"),
    [
        ("", []),
        ("0", []),
        ("012", ["..01"]),  # the first window is half empty: nothing was there before
        ("0123", ["..01"]),  # tick 3 may still come again
        ("01234", ["..01", "0123"]),
        ("01234567", ["..01", "0123", "2345"]),
        ("45678", ["..45", "4567"]),  # the grid starts at the epoch, not at the first reading
        ("56789", ["...5", ".567"]),
    ],
)
def test_windows_slide(readings: str, windows: list[str]) -> None:
    assert drawing(push(readings)) == windows


@pytest.mark.parametrize(
    ("readings", "windows"),
    [
        ("01z", ["..01", "01.."]),  # a gap: no window without a reading
        ("0149", ["..01", "01..", "..4.", "4..."]),
        ("02468", ["..0.", "0.2.", "2.4.", "4.6."]),
    ],
)
def test_gaps_are_silence_and_empty_windows_are_not_given_out(readings: str, windows: list[str]) -> None:
    assert drawing(push(readings)) == windows


@pytest.mark.parametrize(
    ("readings", "late", "windows", "lost"),
    [
        ("01324", 0, ["..01", "0123"], ""),  # disorder within open windows needs no lateness
        ("01423", 0, ["..01", "01.."], ""),  # 2 and 3 missed a window, but another one holds them
        ("01421", 0, ["..01", "01.."], "1"),  # all windows of 1 are closed
        ("01423", 1, ["..01"], ""),
        ("014235", 1, ["..01", "0123"], ""),
        ("0142316", 1, ["..01", "0123"], ""),
        ("01435216", 1, ["..01", "01.3"], "1"),
    ],
)
def test_windows_wait_for_lateness(readings: str, late: int, windows: list[str], lost: str) -> None:
    pushed = push(readings, late=late)
    assert drawing(pushed) == windows
    assert "".join(np.array(list(readings))[pushed.late]) == lost


def test_of_two_values_at_one_tick_the_last_one_by_offset_wins_and_silence_never_overwrites() -> None:
    nan = math.nan
    values = [(1.0, 10.0), (2.0, nan), (nan, 20.0), (nan, nan)]
    log = [Reading(SERIES, 0, pair, at) for at, pair in enumerate(values)] + [Reading(SERIES, 9, (9.0, 9.0), 4)]
    windower = Windower(WindowSpec(length=2, stride=2, cadence_ms=1), Lateness(max_lag_ms=50), channels=2)
    windows = windower.push(columns(log)).windows
    assert windows.values[0, 0].tolist() == [2.0, 20.0]
    assert windows.first_offset.tolist() == [0]
    assert windows.observed.tolist() == [0.5]


def test_readings_within_a_cadence_are_one_tick() -> None:
    spec = WindowSpec(length=2, stride=2, cadence_ms=10)
    log = [Reading(SERIES, time, (float(time),), at) for at, time in enumerate([0, 9, 10, 19, 20])]
    windows = Windower(spec, Lateness(max_lag_ms=50), channels=1).push(columns(log, 1)).windows
    assert windows.values[:, :, 0].tolist() == [[9.0, 19.0]]
    assert (windows.start.tolist(), windows.end.tolist()) == ([0], [20])


@pytest.fixture
def two() -> Windower:
    """Windows of 2 ms, which close 10 ms behind the partition at the latest."""
    return Windower(WindowSpec(length=2, stride=2, cadence_ms=1), Lateness(max_lag_ms=10), channels=1)


def one(series: str, time: int, offset: int) -> Reading:
    return Reading(series, time, (1.0,), offset)


def test_a_dead_series_neither_holds_windows_open_nor_pins_the_offset(two: Windower) -> None:
    pushed = two.push(columns([one("dead", 0, 0), one(SERIES, 11, 1)], 1))
    assert (len(pushed.windows), two.replay_from()) == (0, 0)
    windows = two.push(columns([one(SERIES, 13, 2)], 1)).windows
    assert windows.series == ["dead", SERIES]
    assert windows.closed_offset.tolist() == [2, 2]
    assert windows.closed_at.tolist() == [windows.end[0] + 10, 13]
    assert (two.replay_from(), two.series()) == (2, [SERIES])


def test_one_clock_that_runs_ahead_makes_nobody_late_within_the_lag(two: Windower) -> None:
    log = [one(SERIES, 0, 0), one("ahead", 9, 1), one(SERIES, 1, 2), one(SERIES, 2, 3)]
    pushed = two.push(columns(log, 1))
    assert not pushed.late.any()
    assert (pushed.windows.series, pushed.windows.closed_offset.tolist()) == ([SERIES], [3])


def test_one_clock_that_runs_far_ahead_closes_the_windows_of_all(two: Windower) -> None:
    log = [one(SERIES, 0, 0), one("ahead", 1000, 1), one(SERIES, 1, 2), one(SERIES, 995, 3)]
    pushed = two.push(columns(log, 1))
    assert pushed.late.tolist() == [False, False, True, False]
    assert (pushed.windows.closed_offset.tolist(), pushed.windows.closed_at.tolist()) == ([1], [12])


def test_a_full_ring_is_not_read_around_its_end() -> None:
    log = [Reading("pump-1", tick, (float(tick),), tick) for tick in range(19)]
    windower = Windower(WindowSpec(length=4, stride=1, cadence_ms=1), Lateness(max_lag_ms=0), channels=1)
    pushed = windower.push(columns([*log, one("far ahead", 57, 19)], 1))
    assert drawing(pushed)[-3:] == ["ghi.", "hi..", "i..."]
