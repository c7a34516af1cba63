"""The arithmetic of the bench, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamae.bench.figures import Case, Parts, Round, Served, Spread, ratio, summed_up
from streamae.bench.load import STAGGER, Load, records
from streamae.bench.run import Plan
from streamae.bench.served import cpu_seconds
from streamae.errors import ConfigError, StreamaeError

NOW = 1_800_000_000_000


def test_a_spread_is_median_and_range() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(median=2.0, low=1.0, high=3.0)
    assert Spread.of([4.0, 1.0]) == Spread(median=2.5, low=1.0, high=4.0)
    assert Spread.of([12345.6]).median == 12350


def test_a_ratio_is_serving_over_both_parts() -> None:
    assert ratio(serve_us=30, ort_us=8, consume_us=2) == 3


def round_of(cpu_us: float, before: Parts, after: Parts) -> Round:
    return Round(Served(readings=800, cpu_us=cpu_us, wall_s=2.0, windows=100, alerts=3), (before, after))


def test_each_round_is_held_against_the_parts_beside_it() -> None:
    slow, fast = Parts(window_us=200, consume_us=6), Parts(window_us=100, consume_us=3)
    rounds = [round_of(24, fast, fast), round_of(42, slow, fast), round_of(48, slow, slow)]
    found = summed_up(Case(16), {Case(16): rounds}, readings=1000)
    assert found.windows_per_reading == 0.1
    assert found.ort_us_per_window == Spread(median=150, low=100, high=200)
    assert found.ort_us == Spread(median=15, low=10, high=20)
    assert found.consume_us == Spread(median=4.5, low=3, high=6)
    assert found.serve_us == Spread(median=42, low=24, high=48)
    assert found.ratio == Spread.of([24 / 13, 42 / 19.5, 48 / 26])
    assert (found.readings_per_s.median, found.windows_per_s.median) == (400, 40)
    assert (found.stride, found.windows, found.alerts) == (16, 100, 3)


def test_a_load_has_every_reading_once_in_staggered_order() -> None:
    load = Load(series=20, channels=6, ticks=3, begin=1000)
    found = list(records(load))
    assert len(found) == load.readings == 60
    assert [at for *_, at in found] == sorted(at for *_, at in found)
    assert len({(number, at) for number, _, _, at in found}) == 60
    assert found[0][1:3] == (b"pump-00000", found[0][2]) and found[0][2].startswith(b'{"time":60020000,"channel-0":')
    assert found[0][2].count(b"channel-") == 6
    late = [at for number, _, _, at in found if number == STAGGER - 1]
    assert min(late) - found[0][3] == (STAGGER - 1) * 60_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"readings": 100, "series": 51},
        {"strides": (65,)},
        {"strides": (0,)},
        {"strides": (4, 4)},
        {"rounds": 0},
        {"channels": 0},
    ],
)
def test_what_cannot_be_measured_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="the bench needs"):
        Plan()._replace(**wrong).load(NOW)


def test_the_last_reading_is_not_ahead_of_now() -> None:
    assert max(at for *_, at in records(Plan(series=5, readings=50).load(NOW))) <= NOW


def test_the_cpu_time_of_a_process_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StreamaeError, match="Linux only"):
        cpu_seconds(2**30)


def test_what_uses_cost_is_held_against_the_same_stride_and_round_without_them() -> None:
    parts = Parts(20.0, 2.0)
    plain, using = Case(16), Case(16, ("embed", "clean"))
    costs = {plain: 20, using: 30}
    rounds = {case: [round_of(cost * pace, parts, parts) for pace in (1, 2)] for case, cost in costs.items()}
    found = summed_up(using, rounds, readings=1000)
    assert (found.stride, found.uses, found.beside_none) == (16, ("embed", "clean"), Spread(1.5, 1.5, 1.5))
    assert using.label == "16-embed-clean"
