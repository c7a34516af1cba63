"""What is rebuilt takes the place of noise and of silence, as far as it may."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamae.detection.manifest import WindowSpec
from streamae.detection.repairing import CLASSES, LEAST_OBSERVED, REACH, STEPS, bridge, clean, fill, given_out, level
from tests.graphs import tiny_repair
from tests.strategies import specs

Floats = NDArray[np.float32]
NAN = float("nan")


def one(*values: float) -> Floats:
    """A window of one channel [1, T, 1]."""
    return np.array(values, np.float32).reshape(1, -1, 1)


SCALE = np.ones((1, 1), np.float32)


@given(specs(longest=40), st.integers(0, 3))
def test_every_tick_is_given_out_once(spec: WindowSpec, late: int) -> None:
    """Windows follow each other by a stride; so do the stretches that they give out."""
    ticks = given_out(spec)
    assert 0 <= ticks.start < ticks.stop <= spec.length
    windows = range(9 + late)
    times = Counter(window * spec.stride + tick for window in windows for tick in range(ticks.start, ticks.stop))
    assert set(times.values()) == {1}
    assert len(times) == len(windows) * spec.stride


def test_ticks_are_given_out_once_something_has_come_after_them() -> None:
    assert given_out(WindowSpec(length=128, stride=4, cadence_ms=1)) == slice(108, 112)
    assert given_out(WindowSpec(length=16, stride=4, cadence_ms=1)) == slice(6, 10)
    assert given_out(WindowSpec(length=8, stride=8, cadence_ms=1)) == slice(0, 8)


def naive_bridge(rest: list[float], observed: list[bool]) -> list[tuple[float, int]]:
    """What lies between the neighbours of each tick, and how far they are, one tick after the other."""
    found = []
    for tick in range(len(rest)):
        before = [at for at in range(tick + 1) if observed[at]]
        after = [at for at in range(tick, len(rest)) if observed[at]]
        nearest = min([tick - at for at in before[-1:]] + [at - tick for at in after[:1]], default=None)
        if nearest is None:
            found.append((0.0, CLASSES - 1))
            continue
        step = sum(nearest >= end for end in STEPS.tolist())
        if before and after:
            (left, right) = (before[-1], after[0])
            share = (tick - left) / max(right - left, 1)
            found.append((rest[left] + (rest[right] - rest[left]) * share, step))
        else:
            found.append((rest[before[-1] if before else after[0]], len(STEPS) + 1 + step))
    return found


@given(st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=1, max_size=60))
def test_the_bridge_is_what_a_slow_one_gives(cells: list[tuple[int, bool]]) -> None:
    rest, observed = [float(value) for value, _ in cells], [there for _, there in cells]
    values, place = bridge(one(*rest), np.array(observed).reshape(1, -1, 1))
    wanted = naive_bridge(rest, observed)
    np.testing.assert_allclose(values.ravel(), [value for value, _ in wanted], atol=1e-5)
    assert place.ravel().tolist() == [far for _, far in wanted]


def test_noise_is_halved_and_what_is_far_off_stays() -> None:
    """The tiny repair keeps half of what is off, and all of what goes beyond eight scales."""
    found = clean(one(1, -1, 20, NAN), one(0, 0, 0, 0), SCALE, tiny_repair(1))
    np.testing.assert_array_equal(found, one(0.5, -0.5, 16, NAN))
    wide = clean(one(1, -1, 20, NAN), one(0, 0, 0, 0), 2 * SCALE, tiny_repair(1))
    np.testing.assert_array_equal(wide, one(0.5, -0.5, 12, NAN))


def test_the_filter_looks_to_both_sides_and_to_the_level() -> None:
    repair = tiny_repair(1)
    ahead = np.zeros_like(repair.kernel)
    ahead[REACH + 1] = 1
    found = clean(one(1, 2, 3, 6), one(0, 0, 0, 0), SCALE, replace(repair, kernel=ahead))
    np.testing.assert_array_equal(found, one(2, 3, 6, 0))
    drawn = np.zeros_like(repair.kernel)
    drawn[-1] = 1
    found = clean(one(1, 2, 3, 6), one(9, 9, 9, 9), SCALE, replace(repair, kernel=drawn))
    np.testing.assert_array_equal(found, one(3, 3, 3, 3))


def test_the_level_is_the_mean_of_what_is_there() -> None:
    assert level(one(1, NAN, 3)).item() == 2
    assert level(one(NAN, NAN)).item() == 0


def test_silence_is_filled_marked_and_less_sure_the_further_its_neighbours_are() -> None:
    found = fill(one(2, NAN, NAN, NAN, 6, NAN), one(1, 1, 1, 1, 1, 1), SCALE, tiny_repair(1))
    np.testing.assert_array_equal(found.values, one(2, 3, 4, 5, 6, 6))
    one_sided = len(STEPS) + 1
    np.testing.assert_array_equal(found.uncertainty, one(NAN, 1 / 16, 2 / 16, 1 / 16, NAN, (one_sided + 1) / 16))


def test_a_channel_without_a_value_is_what_the_model_says() -> None:
    windows = np.stack([np.arange(6), np.full(6, np.nan)], axis=1)[None].astype(np.float32)
    rebuilt = np.full_like(windows, 7)
    found = fill(windows, rebuilt, np.full((1, 2), 3, np.float32), tiny_repair(2))
    np.testing.assert_array_equal(found.values[0, :, 1], rebuilt[0, :, 1])
    np.testing.assert_array_equal(found.uncertainty[0, :, 1], np.full(6, 3 * CLASSES / 16, np.float32))
    assert np.isnan(found.uncertainty[0, :, 0]).all()


@pytest.mark.parametrize(("there", "filled"), [(2, True), (1, False)])
def test_of_too_little_nothing_is_filled(there: int, filled: bool) -> None:
    windows = np.full((1, 10, 1), np.nan, np.float32)
    windows[0, :there] = 1
    assert LEAST_OBSERVED == 0.2
    found = fill(windows, np.zeros_like(windows), SCALE, tiny_repair(1))
    assert bool(np.isnan(found.values[0, there:]).any()) is not filled
    assert np.isnan(found.uncertainty).all() == (not filled)
    np.testing.assert_array_equal(found.values[0, :there], windows[0, :there])


def test_nothing_is_filled_before_the_first_reading() -> None:
    found = fill(one(NAN, NAN, 1, NAN), one(0, 0, 0, 0), SCALE, tiny_repair(1))
    np.testing.assert_array_equal(found.values, one(NAN, NAN, 1, 1))
