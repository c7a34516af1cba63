"""Centre, scale and error unit of each channel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from streamae.detection.artifact import Channel, Profiles
from streamae.training import files
from streamae.training.fitting import fit
from streamae.training.material import Material, prepare
from streamae.training.profiles import FLOOR, SMALLEST_UNIT, profiles, with_error_units
from streamae.training.series import Stretch
from tests.training.conftest import CHANNELS, configured

LENGTH = 8


def one_channel(*levels: list[float], ranges: dict[str, float] | None = None, origin: float = 0.0) -> Profiles:
    """Profiles of series with one channel each: `a`, `b`, ..."""
    parts = [Stretch(name, 0, np.array(own, np.float32)[:, None]) for name, own in zip("abc", levels, strict=False)]
    return profiles(parts, LENGTH, [Channel(name="heat", origin=origin)], ranges or {})


def noise(level: float, deviation: float, seed: int = 0) -> list[float]:
    return [level + deviation * one for one in np.random.default_rng(seed).standard_normal(200).tolist()]


def test_each_series_has_its_own_level_and_spread() -> None:
    table = one_channel(noise(100, 5), noise(900, 50)).table[:, :, 0]
    assert table[1, 0] == pytest.approx(100, abs=2)
    assert table[2, 1] == pytest.approx(50, rel=0.2)
    assert table[0, 0] == pytest.approx(500, abs=20)  # the fleet's covers both
    assert table[0, 1] > 300


def test_a_channel_that_hardly_moves_is_not_blown_up() -> None:
    rare = [100.0] * 199 + [200.0]  # deviation 7, range 100
    assert one_channel(rare).table[1, 1, 0] == pytest.approx(FLOOR * 100)


def test_a_switch_that_never_switched_gets_a_small_scale() -> None:
    assert one_channel([0.0] * 200).table[1, 1, 0] == pytest.approx(FLOOR)


def test_a_constant_channel_takes_the_range_of_its_sisters_or_its_level() -> None:
    assert one_channel([50.0] * 200, [40.0, 60.0] * 100).table[1, 1, 0] == pytest.approx(FLOOR * 20)
    assert one_channel([50.0] * 200).table[1, 1, 0] == pytest.approx(FLOOR * 50)
    assert one_channel([3.0] * 200, origin=1e6).table[1, 1, 0] == pytest.approx(FLOOR * (1e6 + 3))


def test_an_engineering_range_is_believed() -> None:
    assert one_channel(noise(50, 0.1), ranges={"heat": 100.0}).table[1, 1, 0] == pytest.approx(10)


def test_short_and_unknown_series_have_the_fleets_profile() -> None:
    found = one_channel(noise(5, 1), [5.0] * (LENGTH * 4 - 1))
    assert found.series == ("a",)
    np.testing.assert_array_equal(found.rows(["b", "nobody"]), found.table[[0, 0]])


@pytest.mark.parametrize("others", [[], [noise(7, 2)]])
def test_a_silent_channel_gives_a_usable_profile(others: list[list[float]]) -> None:
    table = one_channel([np.nan] * 200, *others).table
    assert np.isfinite(table).all()
    assert (table[:, 1] > 0).all()


def test_error_units_are_what_a_large_normal_error_is(material: Material) -> None:
    graph = fit(material.fit, material.scored, configured().training).graph
    known = with_error_units(graph, material.fit.learn, material.fit.profiles)
    pool = material.fit.learn
    which = pool.spread(1500)
    with torch.no_grad():
        outputs = graph(torch.from_numpy(pool.windows(which)), torch.from_numpy(known.table[pool.row[which]]))
    causal, settled, channel = (one.numpy() for one in outputs)
    assert 0.3 < np.median(causal) < 1 < np.quantile(channel, 0.999)
    assert np.median(settled) == pytest.approx(np.median(causal), rel=0.3)
    assert np.isfinite(known.table).all()
    assert (known.table[:, 1:] > 0).all()


def test_an_exact_model_has_the_smallest_unit(frame: pd.DataFrame) -> None:
    still = frame.copy()
    still[list(CHANNELS)] = 5.0
    material = prepare(configured(), files.table(still, CHANNELS))
    graph = fit(material.fit, material.scored, configured().training).graph
    known = with_error_units(graph, material.fit.learn, material.fit.profiles)
    assert known.table[:, 2] == pytest.approx(SMALLEST_UNIT)
