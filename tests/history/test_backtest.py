"""A backtest: the alerts of the detector that serves, with the windows scored once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamae
from streamae.demo.summary import alerted as by_alerts
from streamae.detection.detector import Detector, Rules
from streamae.detection.episodes import Place
from streamae.detection.manifest import Threshold
from streamae.detection.scoring import Scorer
from streamae.errors import ConfigError, DataError
from streamae.history.backtest import Backtest, backtest, usual_rules
from streamae.history.candidates import OWN, Asked, normal_errors, own, whole
from streamae.history.figures import share_in_alert
from streamae.history.labels import read
from streamae.history.past import Past, Thresholds, Told, look_back
from streamae.history.stored import Stored
from streamae.training import evaluation, files
from streamae.training.files import Table
from streamae.training.matching import Event, match
from streamae.training.series import Pool, stretches, within
from tests.detection.stage import Stage, by_series, scorer
from tests.graphs import tiny_artifact
from tests.history.conftest import World
from tests.history.tables import PATIENT, histories, in_order, swinging, table_of
from tests.naive import Reading
from tests.strategies import columns

CHANNELS = ["channel-0", "channel-1"]
FACTORS = st.sampled_from([1.0, 0.3, 0.7, 1.9, 10.0])


def past_of(stage: Stage, log: list[Reading]) -> Past:
    manifest = stage.scorer.artifact.manifest
    return look_back(stage.scorer, Stored.of(table_of(log, manifest), manifest), stage.rules)


def with_thresholds(of: Scorer, thresholds: Thresholds) -> Scorer:
    """The same sessions, other thresholds."""
    manifest = msgspec.structs.replace(of.artifact.manifest, threshold=thresholds.fleet, thresholds=thresholds.series)
    other = copy.copy(of)
    other.artifact = replace(of.artifact, manifest=manifest)
    return other


@PATIENT
@given(histories(), FACTORS)
def test_alerts_are_those_of_the_detector_to_the_last_byte(case: tuple[Stage, list[Reading]], factor: float) -> None:
    stage, log = case
    past = past_of(stage, log)
    thresholds = own(past.manifest).thresholds.times(factor)
    place = Place("tiny", "stored", 0)
    detector = Detector(with_thresholds(stage.scorer, thresholds), stage.rules, place)
    expected = detector.push(columns(in_order(log, stage.spec.cadence_ms))).alerts
    assert by_series(past.alerts(thresholds, explained=True)) == by_series(expected)
    open_now = [one for one in past.episodes(thresholds) if one.alert.state == "firing"]
    assert len(open_now) == detector.open_episodes


@PATIENT
@given(histories(), st.sampled_from([0.3, 0.7, 1.9]))
def test_lower_thresholds_mean_more_time_in_alert(case: tuple[Stage, list[Reading]], factor: float) -> None:
    stage, log = case
    plain = Stage(scorer(stage.spec.length, stage.spec.stride, stage.spec.cadence_ms, 1), stage.rules)
    past = past_of(plain, log)
    low, high = sorted([1.0, factor])
    wide, narrow = (covered(past.episodes(own(past.manifest).thresholds.times(one))) for one in (low, high))
    assert all(any(name == of and a <= start and end <= b for of, a, b in wide) for name, start, end in narrow)


def covered(told: Sequence[Told]) -> list[tuple[str, int, int]]:
    """The times in alert, those that touch joined."""
    joined: list[tuple[str, int, int]] = []
    for name, start, end in sorted((one.alert.series, one.alert.start, one.until) for one in told):
        if joined and joined[-1][0] == name and start <= joined[-1][2]:
            joined[-1] = (name, joined[-1][1], max(end, joined[-1][2]))
        else:
            joined.append((name, start, end))
    return joined


def test_alerts_are_those_that_a_job_is_judged_by(monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = tiny_artifact(length=8, stride=4, threshold=2.0)
    frame = swinging(rows=2000, series=["a", "b", "c"])
    later = pd.concat([frame[frame["series"] != "b"], frame[frame["series"] == "b"].iloc[190:]])  # slices without it
    table = files.table(later, CHANNELS)
    rules = usual_rules(artifact.manifest)
    monkeypatch.setattr(evaluation, "BATCH", 100)
    past = look_back(Scorer(artifact), Stored.of(table, artifact.manifest), rules)
    judged = evaluation.alerted(Scorer(artifact), stretches(table, [0.0, 0.0], artifact.manifest.window), rules)
    told = past.episodes(own(artifact.manifest).thresholds)
    assert sorted((one.alert.series, one.alert.start, one.alert.end, one.known) for one in told) == sorted(judged)
    assert len(judged) == 3


@pytest.fixture(scope="module")
def looked(world: World) -> Backtest:
    """The whole plant under factors and budgets, with its faults as labels."""
    table = files.read(world.files, list(world.config.readings.channels))
    asked = Asked.of([0.5, 2], [1, 5], read(world.folder / "faults.json"))
    return backtest(Scorer(world.artifact), table, world.config.rules(), asked)


def test_the_models_own_budget_calibrates_to_its_own_thresholds(looked: Backtest, world: World) -> None:
    as_trained, half, twice, budget, generous = looked.candidates
    assert (as_trained.name, half.name, twice.name, budget.name) == (OWN, "0.5 times", "2 times", "1 a week")
    assert budget.thresholds == as_trained.thresholds
    assert budget.thresholds.fleet == world.artifact.manifest.threshold
    assert generous.thresholds.fleet.error < budget.thresholds.fleet.error


def test_lower_thresholds_find_more_of_the_plants_faults(looked: Backtest) -> None:
    by_name = {one["name"]: one for one in looked.figures}
    for more, less in (("0.5 times", OWN), (OWN, "2 times"), ("5 a week", "1 a week")):
        assert by_name[more]["alerts"] > by_name[less]["alerts"]
        assert by_name[more]["share_in_alert"] > by_name[less]["share_in_alert"]
        assert by_name[more]["labels"]["found"] >= by_name[less]["labels"]["found"]
    assert by_name[OWN]["labels"]["found"] > 0
    assert by_name[OWN]["longest_s"] > 0


def test_labels_are_matched_as_the_demo_matches_them(looked: Backtest, world: World) -> None:
    faults = [Event(fault.series, fault.start_ms, fault.end_ms) for fault in world.plant.faults]
    alerts = looked.past.alerts(looked.shown.thresholds)
    expected = match(by_alerts(alerts, world.config), faults, world.config.windows.spec().length_ms)
    figures = looked.figures[0]["labels"]
    assert (figures["events"], figures["found"], figures["false"]) == (len(faults), expected.found, len(expected.false))
    assert sum(not one["true"] for one in looked.episodes()) == len(expected.false)


def test_what_the_model_learnt_from_is_counted_by_itself(looked: Backtest, world: World) -> None:
    own_figures, spans = looked.figures[0], world.artifact.manifest.spans
    learnt = [one for one in looked.told if one.alert.start < spans["calibrate"].end]
    assert own_figures["in_sample"]["alerts"] == len(learnt)
    assert own_figures["out_of_sample"]["alerts"] == len(looked.told) - len(learnt)
    assert sum(own_figures["by_span"].values()) == own_figures["alerts"]
    weeks = looked.watched.spans
    assert weeks["fit"] == pytest.approx(3 * 8 * 0.55 / 7, rel=0.02)
    assert weeks["unseen"] == pytest.approx(3 * 4 / 7, rel=0.02)
    assert looked.watched.weeks == pytest.approx(sum(weeks.values()))
    facts = looked.facts()
    assert facts["in_sample"] == ["fit", "calibrate"]
    assert [one["in_sample"] for one in facts["episodes"]].count(True) == len(learnt)
    msgspec.json.encode(facts)


def test_a_refitted_model_has_learnt_from_every_span(world: World) -> None:
    manifest = world.artifact.manifest
    refitted = replace(
        world.artifact, manifest=msgspec.structs.replace(manifest, report={**manifest.report, "refit": True})
    )
    table = files.read(world.files, list(world.config.readings.channels))
    found = backtest(Scorer(refitted), table, world.config.rules(), Asked.of(None, [1]))
    assert found.facts()["in_sample"] == ["fit", "calibrate", "judge"]
    assert any("fitted once more" in note for note in found.notes)
    assert any("more alerts than said" in note for note in found.notes)
    assert found.shown.budget == 1  # the one that was asked for


def test_a_budget_needs_the_calibrate_span(world: World) -> None:
    table = files.read(world.files[1:], list(world.config.readings.channels))
    with pytest.raises(DataError, match=r"calibrate span, .*Z to .*Z, and these readings are .*Z to .*Z: give"):
        backtest(Scorer(world.artifact), table, world.config.rules(), Asked.of(None, [1]))


def test_labelled_times_are_not_calibrated_on(world: World) -> None:
    table = files.read(world.files, list(world.config.readings.channels))
    span, name = world.artifact.manifest.spans["calibrate"], table.names[0]
    rows = (table.series == 0) & (table.time >= span.start + 3_600_000) & (table.time < span.start + 2 * 3_600_000)
    spoilt = Table(table.names, table.series, table.time, np.where(rows[:, None], table.values + 40, table.values))
    rules, scores = world.config.rules(), Scorer(world.artifact)
    labels = [Event(name, span.start + 3_600_000, span.start + 2 * 3_600_000)]
    fleets = [
        backtest(scores, readings, rules, Asked.of(None, [1], known)).shown.thresholds.fleet
        for readings, known in ((spoilt, None), (spoilt, labels), (table, labels))
    ]
    assert fleets[0].error > 1.2 * fleets[1].error
    assert fleets[1] == fleets[2]
    of_another = [Event("pump-99", span.start, span.end)]
    untouched = backtest(scores, table, rules, Asked.of(None, [1], of_another)).shown.thresholds.fleet
    assert untouched == world.artifact.manifest.threshold


def test_an_episode_that_is_still_firing_is_told_with_its_peak() -> None:
    artifact = tiny_artifact(length=8, stride=4)
    frame = swinging(rows=214, series=["pump-1"])
    frame.loc[208:, "channel-1"] += 20
    rules = usual_rules(artifact.manifest)
    found = backtest(Scorer(artifact), files.table(frame, CHANNELS), rules, Asked.of([1]))
    (one,) = found.told
    assert (one.alert.state, one.alert.end) == ("firing", None)
    published = found.past.alerts(found.shown.thresholds)
    assert [alert.state for alert in published] == ["firing"]
    assert one.alert.peak.score > published[0].peak.score
    assert one.alert.start < one.known < one.until
    assert found.facts()["episodes"][0]["said"].startswith("firing   pump-1 since 2026-03-01 00:03")


def test_a_series_that_stops_in_an_episode_ends_it_when_serving_would() -> None:
    artifact = tiny_artifact(length=8, stride=4)
    frame = swinging()
    frame = frame[(frame["series"] == "pump-2") | (frame["time"] < frame["time"].iloc[216])]
    found = backtest(Scorer(artifact), files.table(frame, CHANNELS), usual_rules(artifact.manifest), Asked.of([1]))
    ended = {one.alert.series: (one.alert.state, one.alert.reason) for one in found.told}
    assert ended == {"pump-1": ("resolved", "silent"), "pump-2": ("resolved", "recovered")}


@PATIENT
@given(histories())
def test_whole_windows_lie_where_training_finds_them(case: tuple[Stage, list[Reading]]) -> None:
    stage, log = case
    past, manifest = past_of(stage, log), stage.scorer.artifact.manifest
    parts = stretches(table_of(log, manifest), [channel.origin for channel in manifest.channels], stage.spec)
    windows = past.windows
    for series, start, found in zip(windows.series, windows.start.tolist(), whole(past).tolist(), strict=True):
        first = start // stage.spec.cadence_ms
        inside = [
            part.first <= first and first + stage.spec.length <= part.first + len(part.grid)
            for part in parts
            if part.series == series
        ]
        assert found == any(inside)


def test_a_budget_is_calibrated_on_the_windows_that_training_takes() -> None:
    artifact = tiny_artifact(length=8, stride=2)
    span, window = artifact.manifest.spans["calibrate"], artifact.manifest.window
    frame = swinging(rows=3000)
    cadence_ms = 60_000  # the span has 2880 of them
    ticks = np.tile(np.arange(3000), 2) - 60
    frame["time"] = pd.to_datetime(span.start + ticks * cadence_ms, unit="ms", utc=True)
    frame = frame.drop(range(1000, 1100))
    window = msgspec.structs.replace(window, cadence_ms=cadence_ms)
    other = replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, window=window))
    table, rules = files.table(frame, CHANNELS), usual_rules(other.manifest)
    errors = normal_errors(look_back(Scorer(other), Stored.of(table, other.manifest), rules))
    for one in errors:
        parts = [part for part in within(stretches(table, [0, 0], window), span, window) if part.series == one.series]
        pool = Pool(parts, (), window, rules.policy.min_observed)
        expected = Scorer(other).errors(pool.windows(np.arange(len(pool))), other.profiles.rows([""] * len(pool)))
        assert np.array_equal(one.error, expected.error)
        assert np.array_equal(one.settled, expected.settled_error)
    assert [one.series for one in errors] == ["pump-1", "pump-2"]
    assert len(errors[0].error) < len(errors[1].error)


def test_times_in_alert_are_of_the_time_watched() -> None:
    artifact = tiny_artifact(length=8, stride=4)
    table = files.table(swinging(series=["pump-1"]), CHANNELS)
    past = look_back(Scorer(artifact), Stored.of(table, artifact.manifest), usual_rules(artifact.manifest))
    told = past.episodes(Thresholds(Threshold(error=4.0, settled=4.0), {}, 1.0))
    first = int(table.time.min())
    assert [((one.alert.start - first) // 1000, (one.until - first) // 1000) for one in told] == [(198, 222)]
    assert share_in_alert(told, 300 / 604_800) == pytest.approx(24 / 300)


@pytest.mark.parametrize(
    ("thresholds", "budgets"), [([0], None), (None, [-1]), ([float("nan")], None), ([1e400], None)]
)
def test_what_is_no_threshold_is_refused(thresholds: list[float] | None, budgets: list[float] | None) -> None:
    with pytest.raises(ConfigError, match="not above 0 and finite"):
        Asked.of(thresholds, budgets)


def test_a_notebook_sees_frames() -> None:
    artifact = tiny_artifact(length=8, stride=4)
    labels = pd.DataFrame({"series": ["pump-1"], "start": ["2026-03-01T00:03:20Z"], "end": ["2026-03-01T00:03:40Z"]})
    found = streamae.backtest(artifact, swinging(), thresholds=[0.5, 100], labels=labels)
    assert found.candidates.index.tolist() == [OWN, "0.5 times", "100 times"]
    assert list(found.candidates.loc[OWN, ["alerts", "events", "found", "false"]]) == [2, 1, 1, 1]
    assert found.candidates.loc["100 times", "alerts"] == 0
    assert found.episodes["true"].tolist() == [True, False]
    assert str(found.episodes["start"].dtype) == "datetime64[ns, UTC]"
    blamed: list[dict[str, float]] = found.episodes["channels"].tolist()
    assert next(iter(blamed[0])) == "channel-1"
    assert "<table>" in found._repr_html_() and "as trained" in repr(found)
    quiet = streamae.backtest(artifact, swinging(rows=100))
    assert quiet.episodes.empty and quiet.candidates["alerts"].tolist() == [0, 0, 0]


def test_rules_are_those_of_serving(world: World) -> None:
    windows = world.config.windows
    expected = Rules(lateness=windows.lateness(), policy=world.config.episodes.policy(windows))
    assert world.config.rules() == expected == usual_rules(world.artifact.manifest)
