"""The tick grid, spans, and windows to draw from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamae.config import Spans
from streamae.detection.manifest import Span, WindowSpec
from streamae.detection.windows import phase
from streamae.errors import DataError
from streamae.training.files import Table
from streamae.training.series import (
    FEWEST_LENGTHS,
    LENGTHS,
    LeftOut,
    Pool,
    Stretch,
    origins,
    shortest_span,
    spacing,
    spans,
    stretches,
    usual,
    within,
)

WINDOW = WindowSpec(length=4, stride=2, cadence_ms=10)
ALL = Span(start=0, end=10**15)


def rows(*readings: tuple[int, float]) -> Table:
    """A table of one series with one channel, from (time, value)."""
    time = np.array([time for time, _ in readings], np.int64)
    values = np.array([[value] for _, value in readings], np.float64)
    return Table(("m",), np.zeros(len(time), np.int64), time, values)


def test_the_later_row_of_a_tick_wins_and_silence_never_does() -> None:
    (part,) = stretches(rows((12, 5), (25, 1), (19, 7), (11, np.nan)), [0.0], WINDOW)
    assert part.first == 1
    np.testing.assert_array_equal(part.grid[:, 0], [7, 1])


@given(st.permutations(list(range(12))))
def test_the_order_of_rows_with_different_ticks_does_not_matter(order: list[int]) -> None:
    readings = [(tick * 10, float(tick)) for tick in order]
    (part,) = stretches(rows(*readings), [0.0], WINDOW)
    assert part.grid[:, 0].tolist() == list(range(12))


def naive_cells(table: Table, cadence_ms: int) -> dict[tuple[str, int, int], float]:
    """Per series, tick and channel the last value in the order of rows; a row with an infinite value is none."""
    cells: dict[tuple[str, int, int], float] = {}
    for series, time, values in zip(table.series.tolist(), table.time.tolist(), table.values.tolist(), strict=True):
        if not any(np.isinf(np.float32(value)) for value in values):
            for channel, value in enumerate(values):
                if not np.isnan(value):
                    cells[table.names[series], time // cadence_ms, channel] = value
    return cells


VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, np.nan, np.inf])
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300), VALUES, VALUES), max_size=40)


@given(ROWS)
def test_rows_in_any_order_and_twice_give_what_the_slow_twin_gives(
    given_rows: list[tuple[int, int, float, float]],
) -> None:
    columns = np.array(given_rows, np.float64).reshape(-1, 4)
    table = Table(("a", "b", "c"), columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64), columns[:, 2:])
    parts = stretches(table, [0.0, 0.0], WINDOW)
    cells = {
        (part.series, part.first + tick, channel): float(part.grid[tick, channel])
        for part in parts
        for tick, channel in np.argwhere(~np.isnan(part.grid)).tolist()
    }
    assert cells == naive_cells(table, WINDOW.cadence_ms)
    assert [part.series for part in parts] == sorted(part.series for part in parts)
    for one, other in pairwise(parts):
        assert one.series != other.series or other.first - (one.first + len(one.grid) - 1) > WINDOW.length
    for part in parts:
        silent = "".join("-" if np.isnan(tick).all() else "x" for tick in part.grid)
        assert silent[0] == silent[-1] == "x"
        assert "-" * WINDOW.length not in silent


def test_the_usual_spacing_is_that_of_a_series_and_channel_whatever_the_order() -> None:
    nan = np.nan
    tall = [[1.0, nan], [nan, 1.0], [2.0, nan], [nan, 2.0], [nan, 2.0], [3.0, nan]]
    table = Table(("a", "b"), np.array([0, 0, 0, 0, 0, 1]), np.array([0, 5, 600, 605, 605, 7]), np.array(tall))
    assert spacing(table) == 600
    assert np.isnan(spacing(rows((0, 1.0))))


def test_silence_of_a_window_parts_a_series() -> None:
    parts = stretches(rows((0, 1), (40, 2), (90, 3)), [0.0], WINDOW)
    assert [(part.first, len(part.grid)) for part in parts] == [(0, 5), (9, 1)]


def test_a_century_of_silence_costs_nothing() -> None:
    parts = stretches(rows((0, 1), (3_000_000_000_000, 2)), [0.0], WINDOW)
    assert [len(part.grid) for part in parts] == [1, 1]


def test_infinite_values_and_empty_rows_are_left_out() -> None:
    parts = stretches(rows((0, np.inf), (10, 1), (20, 1e300), (30, np.nan)), [0.0], WINDOW)
    assert [(part.first, part.grid.tolist()) for part in parts] == [(1, [[1.0]])]


def test_float32_holds_what_varies_by_one_at_a_level_of_1e12() -> None:
    values = 1e12 + np.arange(50) % 7
    table = rows(*((at * 10, value) for at, value in enumerate(values)))
    (origin,) = origins(table, ALL)
    (part,) = stretches(table, [origin], WINDOW)
    np.testing.assert_array_equal(part.grid[:, 0].astype(np.float64) + origin, values)


@pytest.mark.parametrize("values", [[0, 1, 2], [40, 50, 60], [0.7, 0.7, 0.7], [np.nan] * 3, [-900, 0, 900]])
def test_plain_channels_have_no_origin(values: list[float]) -> None:
    assert origins(rows(*((at * 10, value) for at, value in enumerate(values))), ALL) == [0.0]


def test_origins_know_the_fit_span_only() -> None:
    table = rows(*((at * 10, 5.0 + at) for at in range(10)), *((100 + at * 10, 1e12) for at in range(90)))
    assert origins(table, Span(start=0, end=100)) == [0.0]


@given(st.integers(12, 400), st.floats(0.2, 0.6), st.floats(0.2, 0.4))
def test_spans_are_disjoint_and_cover_all(ticks: int, fit: float, calibrate: float) -> None:
    table = rows(*((tick * 10, 0.0) for tick in range(ticks)))
    try:
        found = spans(table, Spans(fit=fit, calibrate=calibrate), WINDOW)
    except DataError:
        assert ticks * min(fit, 1 - fit) < shortest_span(WINDOW) + 1
        return
    ordered = list(found.values())
    assert list(found)[:2] == ["fit", "calibrate"]
    assert ordered[0].start == 0
    assert ordered[-1].end == ticks * 10
    assert all(one.end == other.start for one, other in pairwise(ordered))
    grids = [within(stretches(table, [0.0], WINDOW), span, WINDOW) for span in ordered]
    assert sum(len(part.grid) for parts in grids for part in parts) == ticks
    assert all(one.end - one.start >= shortest_span(WINDOW) * 10 for one in ordered)


def test_too_little_to_fit_and_calibrate_on() -> None:
    with pytest.raises(DataError, match="cover 8 ticks of 10 ms, too few"):
        spans(rows(*((tick * 10, 0.0) for tick in range(8))), Spans(), WINDOW)


def test_left_out_times_are_cut_out() -> None:
    part = Stretch("m", 100, np.arange(20, dtype=np.float32)[:, None])
    left_out = [LeftOut("m", 1045, 1062), LeftOut("other", 0, 10**9), LeftOut("m", 1190, 10**9)]
    parts = within([part], Span(start=1010, end=10**9), WINDOW, left_out)
    assert [(one.first, one.grid[:, 0].tolist()) for one in parts] == [
        (101, [1.0, 2.0, 3.0]),
        (107, list(range(7, 19))),
    ]


@given(st.integers(0, 50), st.integers(1, 30), st.sampled_from(["a", "b", "c"]))
def test_windows_lie_as_they_are_served(first: int, ticks: int, name: str) -> None:
    part = Stretch(name, first, np.arange(first, first + ticks, dtype=np.float32)[:, None])
    pool = Pool([part], [name], WINDOW, 0.5)
    starts = pool.windows(np.arange(len(pool)))[:, 0, 0].astype(int).tolist()
    expected = [
        tick for tick in range(first, first + ticks - 3) if (tick - phase(name, WINDOW.stride)) % WINDOW.stride == 0
    ]
    assert starts == expected


def test_no_window_crosses_from_one_stretch_into_another() -> None:
    parts = [Stretch(name, 0, np.full((6, 1), level, np.float32)) for level, name in enumerate("abc")]
    pool = Pool(parts, ["a", "c"], WindowSpec(length=4, stride=1, cadence_ms=10), 0.5)
    windows = pool.windows(np.arange(len(pool)))
    assert pool.row.tolist() == [1] * 3 + [0] * 3 + [2] * 3
    assert (windows == windows[:, :1]).all()


def test_windows_that_are_mostly_silent_are_not_drawn() -> None:
    grid = np.ones((12, 1), np.float32)
    grid[4:8] = np.nan
    pool = Pool([Stretch("m", 0, grid)], ["m"], WindowSpec(length=4, stride=1, cadence_ms=10), 0.5)
    observed = 1 - np.isnan(pool.windows(np.arange(len(pool)))).mean(axis=(1, 2))
    assert len(pool) == 6
    assert observed.min() == 0.5


def needed(length: int) -> int:
    return shortest_span(WindowSpec(length=length, stride=4, cadence_ms=1))


def lasting(ticks: int, cadence_ms: int) -> Table:
    return rows((7, 0.0), (7 + (ticks - 1) * cadence_ms, 1.0))


@given(st.integers(1, 4000), st.integers(1, 50))
def test_the_usual_window_is_the_longest_that_there_is_room_for_and_enough_of(ticks: int, cadence_ms: int) -> None:
    length, shares = usual(lasting(ticks, cadence_ms), cadence_ms)
    room = int(ticks * min(shares.fit, shares.calibrate))
    allowed = {one for one in LENGTHS if needed(one) <= room and FEWEST_LENGTHS * one <= ticks}
    assert length == max(allowed, default=min(LENGTHS))


@given(st.integers(1, 4000))
def test_few_readings_are_halved_between_fit_and_calibrate(ticks: int) -> None:
    _, shares = usual(lasting(ticks, 10), 10)
    enough = ticks * Spans().calibrate >= needed(max(LENGTHS))
    assert shares == (Spans() if enough else Spans(fit=0.5, calibrate=0.5))


@given(st.integers(2 * needed(min(LENGTHS)) + 1, 4000), st.integers(1, 50))
def test_usual_windows_and_spans_go_together(ticks: int, cadence_ms: int) -> None:
    """Readings that have room for the shortest one can be fitted and calibrated on."""
    table = lasting(ticks, cadence_ms)
    length, shares = usual(table, cadence_ms)
    found = spans(table, shares, WindowSpec(length=length, stride=4, cadence_ms=cadence_ms))
    for name in ("fit", "calibrate"):
        assert found[name].end - found[name].start >= needed(length) * cadence_ms
