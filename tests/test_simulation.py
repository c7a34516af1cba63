from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from streamae.config import parse
from streamae.simulation import (
    CHANNELS,
    KINDS,
    SIZES,
    Columns,
    Fault,
    Plant,
    SimulationSpec,
    config_text,
    records,
    simulate,
)

HOUR_MS = 3_600_000
SPEC = SimulationSpec(seed=3, end_ms=1_700_000_030_123, history_days=7, live_days=14, cadence_s=120)


@pytest.fixture(scope="module")
def plant() -> Plant:
    return simulate(SPEC)


def of(readings: Columns, series: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows = readings.series == readings.names.index(series)
    return readings.time[rows], readings.values[rows]


def during(readings: Columns, fault: Fault, channel: str) -> NDArray[np.float64]:
    time, values = of(readings, fault.series)
    rows = (time >= fault.start_ms) & (time < fault.end_ms)
    chosen: NDArray[np.float64] = values[rows, CHANNELS.index(channel)]
    return chosen


def test_the_same_seed_gives_the_same_plant(plant: Plant) -> None:
    again, other = simulate(SPEC), simulate(replace(SPEC, seed=4))
    assert again.faults == plant.faults != other.faults
    np.testing.assert_array_equal(again.live.time, plant.live.time)
    np.testing.assert_array_equal(again.live.values, plant.live.values)
    assert not np.array_equal(other.history.values[:100], plant.history.values[:100])


def test_faults_follow_from_the_seed_and_not_from_the_time_of_day(plant: Plant) -> None:
    later = simulate(replace(SPEC, end_ms=SPEC.end_ms + 1_000_003))
    shift = later.spec.live_from_ms - plant.spec.live_from_ms
    moved = (replace(fault, start_ms=fault.start_ms - shift, end_ms=fault.end_ms - shift) for fault in later.faults)
    assert tuple(moved) == plant.faults


def test_time_is_ordered_ends_at_the_end_and_lies_in_every_tick_once(plant: Plant) -> None:
    assert plant.history.time.max() < plant.spec.live_from_ms <= plant.live.time.min()
    assert SPEC.end_ms - 2 * SPEC.cadence_ms < plant.live.time.max() < SPEC.end_ms
    assert (np.diff(plant.live.time) >= 0).all()
    assert len(set(np.diff(of(plant.live, "pump-01")[0]).tolist())) > 100  # readings come irregularly
    for name in plant.live.names:
        ticks = of(plant.live, name)[0] // SPEC.cadence_ms
        assert len(np.unique(ticks)) == len(ticks)


def test_disorder_is_between_readings_and_within_its_bound() -> None:
    live = simulate(replace(SPEC, history_days=1, live_days=1, disorder_s=300)).live
    trailing = np.maximum.accumulate(live.time) - live.time
    assert 0 < trailing.max() <= 300_000
    assert any((np.diff(of(live, name)[0]) < 0).any() for name in live.names)


def test_channels_move_together_and_pumps_differ(plant: Plant) -> None:
    centres, noises = [], []
    for name in plant.history.names:
        values = of(plant.history, name)[1]
        values = values[~np.isnan(values).any(axis=1)]
        assert (np.corrcoef(values.T) > 0.3).all()
        centres.append(np.median(values, axis=0))
        noises.append(np.median(np.abs(np.diff(values, axis=0)), axis=0))
    assert (np.std(centres, axis=0) > 0.05 * np.mean(centres, axis=0)).all()
    assert (np.max(noises, axis=0) > 1.25 * np.min(noises, axis=0)).all()


def test_sensors_fall_silent_and_silence_is_never_a_whole_record(plant: Plant) -> None:
    silent = np.isnan(plant.live.values)
    assert 0.003 < silent.mean() < 0.05
    assert not silent.all(axis=1).any()
    assert np.nanmin(plant.live.values) >= 0


def test_every_kind_and_size_appears_about_equally(plant: Plant) -> None:
    assert len(plant.faults) == 36
    for counts in (Counter(fault.kind for fault in plant.faults), Counter(fault.size for fault in plant.faults)):
        assert set(counts) in (set(KINDS), set(SIZES))
        assert max(counts.values()) - min(counts.values()) <= 1
    pairs = Counter((fault.kind, fault.size) for fault in plant.faults)
    assert len(pairs) == 25
    assert set(pairs.values()) == {1, 2}


def test_faults_lie_in_the_live_part_and_far_apart(plant: Plant) -> None:
    for name in plant.live.names:
        faults = [fault for fault in plant.faults if fault.series == name]
        assert len(faults) == 3
        assert all(first.end_ms + 5 * HOUR_MS < second.start_ms for first, second in pairwise(faults))
        assert all(plant.spec.live_from_ms < fault.start_ms < fault.end_ms < SPEC.end_ms for fault in faults)
        assert all(1.4 < (fault.end_ms - fault.start_ms) / HOUR_MS < 10.1 for fault in faults)


@pytest.fixture(scope="module")
def spoilt(plant: Plant) -> dict[Fault, NDArray[np.float64]]:
    """What each fault did to its channels, in standard deviations: the plant less its twin without faults."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamae.simulation.plant.spoil", lambda *_: None)
        sound = simulate(SPEC)
    change = {}
    for fault in plant.faults:
        column = CHANNELS.index(fault.channels[0])
        scale = np.nanstd(of(plant.history, fault.series)[1][:, column])
        after, before = (during(readings, fault, fault.channels[0]) for readings in (plant.live, sound.live))
        change[fault] = (after - before) / scale
    return change


def test_outside_of_faults_nothing_is_changed(plant: Plant) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamae.simulation.plant.spoil", lambda *_: None)
        sound = simulate(SPEC)
    np.testing.assert_array_equal(plant.history.values, sound.history.values)
    faulty = np.zeros(len(plant.live), dtype=bool)
    for fault in plant.faults:
        row = plant.live.names.index(fault.series)
        within = (plant.live.time >= fault.start_ms) & (plant.live.time < fault.end_ms)
        faulty |= within & (plant.live.series == row)
    np.testing.assert_array_equal(plant.live.values[~faulty], sound.live.values[~faulty])


def test_faults_reach_their_size(spoilt: dict[Fault, NDArray[np.float64]]) -> None:
    for fault, change in spoilt.items():
        if fault.kind == "stuck":
            assert (fault.end_ms - fault.start_ms) / HOUR_MS == pytest.approx(1.5 * fault.size, rel=0.05)
        elif fault.kind in ("wear", "cavitation"):
            assert np.nanmax(np.abs(change)) == pytest.approx(fault.size, rel=0.15)
        else:  # what sinks, or drifts down, ends at zero
            assert np.nanmax(np.abs(change)) <= fault.size * 1.1


def test_a_stuck_sensor_repeats_itself(plant: Plant) -> None:
    for fault in plant.faults:
        if fault.kind == "stuck":
            values = during(plant.live, fault, fault.channels[0])
            assert len(np.unique(values[~np.isnan(values)])) == 1


def test_records_are_wide_json_with_null_for_silence(plant: Plant) -> None:
    for row, (key, value, time) in zip(range(5000), records(plant.live), strict=False):
        record = msgspec.json.decode(value)
        assert key.decode() == plant.live.names[plant.live.series[row]]
        assert record.pop("time") == time == plant.live.time[row]
        values = [np.nan if record[name] is None else record[name] for name in CHANNELS]
        np.testing.assert_array_equal(values, plant.live.values[row])


def test_a_frame_holds_the_same(plant: Plant) -> None:
    frame = plant.history.frame()
    assert list(frame.columns) == ["series", "time", *CHANNELS]
    assert len(frame) == len(plant.history)
    np.testing.assert_array_equal(frame["time"].astype("int64") // 10**6, plant.history.time)
    np.testing.assert_array_equal(frame[list(CHANNELS)].to_numpy(), plant.history.values)


def test_the_config_is_one_that_streamae_reads() -> None:
    config = parse(config_text(replace(SPEC, disorder_s=2.5), "kafka://localhost:9092", "transformer"))
    assert (config.service, config.model, config.topics.readings) == ("plant", "pumps", "plant.readings")
    assert tuple(config.readings.channels) == CHANNELS
    assert config.windows.cadence_s == 120
    assert config.windows.lateness_s == 2.5
    assert config.training.autoencoder == "transformer"


@pytest.mark.parametrize("wrong", [{"series": 0}, {"live_days": 0}, {"cadence_s": 0.01}, {"cadence_s": 7200}])
def test_a_plant_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"plant needs|cadence must"):
        SimulationSpec(seed=0, end_ms=0, **wrong)  # type: ignore[arg-type]


def test_a_short_live_part_has_a_fault_for_each_series() -> None:
    short = simulate(SimulationSpec(seed=0, end_ms=SPEC.end_ms, series=2, history_days=1, live_days=0.5))
    assert [fault.series for fault in sorted(short.faults, key=lambda fault: fault.series)] == ["pump-01", "pump-02"]
