"""The Windower is its slow twin, however the log is cut; and it gives the windows of stored readings."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamae.detection.grid import Lateness
from streamae.detection.manifest import WindowSpec
from streamae.detection.windows import Windower, Windows, phase
from tests.naive import NaiveWindower, Reading, Window
from tests.strategies import CHANNELS, columns, cuts, latenesses, logs, polls, specs, steady_logs

Row = tuple[Any, ...]


def rows(windows: Windows) -> list[Row]:
    """Windows as plain values, bit for bit, in one order among those that one reading closed."""
    cells = [values.tobytes() for values in windows.values]
    names = ("closed_offset", "start", "end", "first_offset", "closed_at")
    numbers = zip(*(getattr(windows, name).tolist() for name in names), strict=True)
    return sorted(
        (closed, series, start, end, first, at, values)
        for series, values, (closed, start, end, first, at) in zip(windows.series, cells, numbers, strict=True)
    )


def naive_rows(windows: list[Window]) -> list[Row]:
    return sorted(
        (
            w.closed_offset,
            w.series,
            w.start,
            w.end,
            w.first_offset,
            w.closed_at,
            np.array(w.values, np.float32).tobytes(),
        )
        for w in windows
    )


def open_series(naive: NaiveWindower) -> list[str]:
    return sorted(series for series, windows in naive.open.items() if windows)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_windows_are_those_of_the_slow_twin_for_any_cut_of_any_log(data: st.DataObject) -> None:
    spec = data.draw(specs())
    lateness = data.draw(latenesses(spec.cadence_ms))
    log = data.draw(st.one_of(logs(spec.cadence_ms), steady_logs(spec.cadence_ms)))
    naive = NaiveWindower(spec, lateness, CHANNELS)
    expected = [naive.push(reading) for reading in log]
    windower = Windower(spec, lateness, CHANNELS)
    found, late = [], []
    for poll in polls(log, data.draw(cuts(len(log)))):
        pushed = windower.push(poll)
        assert (np.diff(pushed.windows.closed_offset) >= 0).all()
        found += rows(pushed.windows)
        late += pushed.late.tolist()
    assert late == [each for _, each in expected]
    assert sorted(found) == naive_rows([window for windows, _ in expected for window in windows])
    assert windower.replay_from() == naive.replay_from()
    assert sorted(windower.series()) == open_series(naive)


@settings(max_examples=100, deadline=None)
@given(specs(), st.integers(0, 10**6), st.lists(st.sampled_from([0.0, 1.5, np.nan]), min_size=1, max_size=60))
def test_live_windows_are_those_of_stored_readings(spec: WindowSpec, first: int, values: list[float]) -> None:
    log = [Reading("pump", (first + at) * spec.cadence_ms, (each, 2.0), at) for at, each in enumerate(values)]
    pushed = Windower(spec, Lateness(max_lag_ms=0), CHANNELS).push(columns(log))
    edge = np.full((spec.length, CHANNELS), np.nan, np.float32)  # nothing was measured before the first reading
    grid = np.concatenate([edge, columns(log).values])
    begins = first - spec.length + np.arange(len(grid) - spec.length + 1)
    sliding = np.lib.stride_tricks.sliding_window_view(grid, spec.length, axis=0).transpose(0, 2, 1)
    closed = (begins > first - spec.length) & (begins + spec.length <= first + len(values) - 1)
    mine = closed & ((begins - phase("pump", spec.stride)) % spec.stride == 0)
    assert pushed.windows.start.tolist() == (begins[mine] * spec.cadence_ms).tolist()
    assert pushed.windows.values.tobytes() == sliding[mine].tobytes()


def test_series_of_a_fleet_have_different_phases_that_never_change() -> None:
    assert [phase(f"pump-{number}", 10) for number in range(8)] == [6, 4, 8, 2, 5, 7, 1, 7]
    assert {phase(f"pump-{number}", 10) for number in range(200)} == set(range(10))


def test_a_gap_of_a_billion_ticks_is_skipped_at_once() -> None:
    spec = WindowSpec(length=64, stride=1, cadence_ms=1)
    windower = Windower(spec, Lateness(max_lag_ms=10**12), CHANNELS)
    before = [Reading("pump", tick, (1.0, 1.0), tick) for tick in range(100)]
    after = [Reading("pump", 10**9 + tick, (2.0, 2.0), 100 + tick) for tick in range(100)]
    windows = windower.push(columns(before + after)).windows
    assert len(windows) == (63 + 100) + (63 + 36)  # all that hold a reading before the gap; then those that ended
    assert np.diff(windows.start).max() == (10**9 - 63) - 99


def test_a_reading_far_in_the_past_costs_nothing_either() -> None:
    spec = WindowSpec(length=64, stride=1, cadence_ms=1)
    windower = Windower(spec, Lateness(max_lag_ms=10), CHANNELS)
    log = [Reading("pump", 10**12, (1.0, 1.0), 0), Reading("clock at 1970", 0, (1.0, 1.0), 1)]
    log += [Reading("clock at 1970", 10**12 + 1, (1.0, 1.0), 2)]
    pushed = windower.push(columns(log))
    assert pushed.late.tolist() == [False, True, False]
    assert windower.series() == ["pump", "clock at 1970"]


def test_nothing_in_gives_nothing_out() -> None:
    windower = Windower(WindowSpec(length=4, stride=2, cadence_ms=1), Lateness(max_lag_ms=0), CHANNELS)
    pushed = windower.push(columns([]))
    assert (len(pushed.windows), pushed.windows.values.shape, len(pushed.late)) == (0, (0, 4, CHANNELS), 0)
    assert windower.replay_from() is None
