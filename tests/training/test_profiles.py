"""Centre, scale and error unit of each channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamae.config import Training
from streamae.detection.artifact import Profiles
from streamae.detection.manifest import Channel, WindowSpec
from streamae.training import building, files
from streamae.training.building import build, with_grown_units
from streamae.training.fitting import FitWindows, fit
from streamae.training.graph import Graph
from streamae.training.material import Material, prepare
from streamae.training.profiles import FLOOR, SMALLEST_UNIT, Growth, grow, growth, profiles, with_error_units
from streamae.training.series import Pool, Stretch
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
    for units in (graph.unit, graph.settled_unit):
        assert units.numpy() == pytest.approx(SMALLEST_UNIT)
    assert known.table[:, 2] == pytest.approx(1)


def noisy_fleet(
    deviations: dict[str, float], length: int = 64, levels: tuple[float, ...] = ()
) -> tuple[Graph, Profiles, Pool]:
    """Series of noise under one and the same scale, the linear part of all of them, and error units."""
    rng = np.random.default_rng(0)
    level = np.array(levels or [0.0] * len(deviations))
    parts = [
        Stretch(name, 0, (at + deviation * rng.standard_normal((6000, 2))).astype(np.float32))
        for (name, deviation), at in zip(deviations.items(), level.tolist(), strict=True)
    ]
    pool = Pool(parts, list(deviations), WindowSpec(length=length, stride=4, cadence_ms=1), 0.5)
    table = np.tile(np.array([0, 1, 1], np.float32)[None, :, None], (len(parts) + 1, 1, 2))
    table[:, 0] = np.concatenate([[level.mean()], level])[:, None]
    table[0, 1] += level.std()
    known = Profiles(tuple(deviations), table)
    training = Training(autoencoder="pca", rank=4)
    graph = fit(FitWindows(pool, pool, known), torch.ones(2), training).graph
    return graph, with_error_units(graph, pool, known), pool


def test_a_series_twice_as_noisy_has_a_unit_four_times_as_large() -> None:
    graph, known, pool = noisy_fleet({**{f"calm-{at}": 1.0 for at in range(5)}, "wild": 2.0})
    unit = dict(zip(known.series, known.table[1:, 2], strict=True))
    for name in known.series[:-1]:
        np.testing.assert_allclose(unit["wild"] / unit[name], 4, rtol=0.1)
    np.testing.assert_allclose(known.table[0, 2], 1)  # a new series has the fleet's
    which = pool.spread(2000)
    with torch.no_grad():
        profile = torch.from_numpy(known.table[pool.row[which]])
        error = graph(torch.from_numpy(pool.windows(which)), profile)[0].numpy()
    wild = pool.row[which] == len(known.series)
    np.testing.assert_allclose(np.median(error[wild]), np.median(error[~wild]), rtol=0.1)


def test_series_alike_have_the_fleets_units() -> None:
    _, known, _ = noisy_fleet({"one": 1.0, "other": 1.0, "third": 1.0})
    np.testing.assert_allclose(known.table[:, 2], 1, rtol=0.1)


def test_each_aspect_has_the_unit_of_its_own_errors() -> None:
    """A mean of two ticks of noise has half the variance of a tick; and a unit is what an aspect's errors are."""
    graph, known, pool = noisy_fleet({"one": 1.0, "other": 1.0})
    assert graph.unit.shape == (3, 2)  # 64 ticks by two, the newest 32, the newest 8
    np.testing.assert_allclose(graph.unit[0] / graph.unit[1], 0.5, rtol=0.15)
    which = pool.spread(4000)
    with torch.no_grad():
        windows = torch.from_numpy(pool.windows(which))
        errors = graph.channel_errors(windows, torch.from_numpy(known.table[pool.row[which]]))
    for found, units in ((errors.causal, graph.unit), (errors.settled, graph.settled_unit)):
        wanted = 0.5 * np.quantile(found, 0.99, axis=0) + 0.5 * found.numpy().mean(axis=0)
        np.testing.assert_allclose(units, wanted, rtol=0.05)


@pytest.mark.parametrize(("anomaly", "view"), [("spike", 2), ("drift", 0)])
def test_a_spike_is_seen_in_the_newest_ticks_and_a_drift_in_the_whole_window(anomaly: str, view: int) -> None:
    graph, known, pool = noisy_fleet({"one": 1.0}, length=128)
    windows = torch.from_numpy(pool.windows(pool.spread(300)))
    profile = torch.from_numpy(known.table[:1]).expand(len(windows), -1, -1)
    if anomaly == "spike":
        windows[:, -2, 0] += 6
    else:
        windows[:, :, 0] += torch.linspace(-1.5, 1.5, 128)
    with torch.no_grad():
        errors = graph.channel_errors(windows, profile).causal / graph.unit
        error = graph(windows, profile)[0]
    means = errors[:, :, 0].mean(dim=0)
    assert int(means.argmax()) == view
    assert float(means[view]) > 1.5 * float(means.sort().values[-2])
    assert float(error.median()) > float(errors[:, 2 - view, 0].median())  # the other view alone would say less


def test_how_far_machines_stand_apart_is_in_the_fleets_unit_and_in_no_other() -> None:
    alike, _, _ = noisy_fleet({"low": 1.0, "high": 1.0})
    graph, known, pool = noisy_fleet({"low": 1.0, "high": 1.0}, levels=(0.0, 50.0))
    np.testing.assert_allclose(graph.unit, alike.unit, rtol=0.1)
    np.testing.assert_allclose(known.table[1:, 2], 1, rtol=0.1)
    windows = torch.from_numpy(pool.windows(pool.spread(400)))
    with torch.no_grad():
        unknown = graph(windows, torch.from_numpy(known.table[:1]).expand(len(windows), -1, -1))[0]
    assert 0.2 < float(unknown.median()) < 1.5  # as loud as any other, under a profile that spans both


def test_units_grow_by_what_is_louder_later_and_never_shrink() -> None:
    graph, known, _ = noisy_fleet({"one": 1.0, "other": 1.0})
    noise_later = np.random.default_rng(1).standard_normal((6000, 2)).astype(np.float32) * np.array(
        [3, 0.5], np.float32
    )
    later = Pool([Stretch("one", 0, noise_later)], known.series, WindowSpec(length=64, stride=4, cadence_ms=1), 0.5)
    grown = growth(graph, later, known)
    np.testing.assert_allclose(grown.causal[:, 0], 9, rtol=0.1)
    np.testing.assert_allclose(grown.settled[:, 0], 9, rtol=0.1)
    assert (grown.causal[:, 1] >= 1).all()
    assert (grown.causal[:, 1] < 1.3).all()  # PCA of the other channel reaches a little into it
    before = graph.unit.numpy().copy()
    grow(graph, grown)
    np.testing.assert_allclose(graph.unit.numpy(), before * grown.causal, rtol=1e-6)


def test_what_serves_has_units_that_grew_on_calibrate(material: Material) -> None:
    def units(calibrate: list[Stretch]) -> Tensor:
        graph = fit(material.fit, material.scored, Training(autoencoder="pca", rank=4)).graph
        with_grown_units(graph, replace(material, calibrate=calibrate))
        return graph.unit

    louder = [Stretch(one.series, one.first, 3 * one.grid) for one in material.calibrate]
    grown = units(louder) / units([])
    assert (grown >= 1).all()
    assert grown.median() > 2


def test_a_refit_grows_by_as_much_as_the_fit_before(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was fitted on all there is, so that nothing else can say."""

    def units(factor: float) -> list[NDArray[np.float32]]:
        grown = Growth(np.full((1, 1), factor), np.full((1, 1), factor))
        monkeypatch.setattr(building, "growth", lambda graph, pool, known: grown)
        built = build(material, Training(autoencoder="pca", rank=4, refit=True))
        weights = {one.name: one for one in onnx.load_from_string(built.artifact.model).graph.initializer}
        return [onnx.numpy_helper.to_array(weights[name]) for name in ("served.unit", "served.settled_unit")]

    for more, usual in zip(units(5.0), units(1.0), strict=True):
        np.testing.assert_allclose(more, 5 * usual, rtol=1e-5)


def test_where_nothing_comes_later_units_stay() -> None:
    graph, known, _ = noisy_fleet({"one": 1.0})
    nothing = Pool([], known.series, WindowSpec(length=64, stride=4, cadence_ms=1), 0.5)
    assert (growth(graph, nothing, known).causal == 1).all()
