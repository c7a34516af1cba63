"""Evaluate: a model's alerts and scores against labels, in what it has not learnt from, beside baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamae
from streamae.config import Config, Readings, Retraining, Spans
from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Span
from streamae.errors import ConfigError, DataError
from streamae.history.contenders import BASELINES, SIGMA, Contender, Trained, as_trained, check, usual_config
from streamae.history.evaluate import Evaluation, Question, evaluate
from streamae.history.figures import UNSEEN
from streamae.history.outcomes import Outcome, outcome
from streamae.history.truth import Rows, Truth
from streamae.history.vus import period, volume
from streamae.training import files, job
from streamae.training.files import Table
from streamae.training.history import Gathered
from streamae.training.matching import Alerted, Event
from streamae.training.series import spans as split
from tests.graphs import tiny_artifact
from tests.history.tables import PATIENT, swinging

CHANNELS = ["channel-0", "channel-1"]
START = int(pd.Timestamp("2026-03-01", tz="UTC").timestamp() * 1000)
LENGTH_MS = 8000


def at(second: int) -> int:
    """The time of a row of the frame."""
    return START + second * 1000


def event(series: str, first: int, last: int) -> Event:
    return Event(series, at(first), at(last))


HOT = event("pump-1", 200, 220)  # in the frame, both pumps are hot then; only of the first one it is known
CALM = event("pump-2", 300, 330)  # said to be a fault, though nothing can be seen
LEARNT = event("pump-1", 40, 60)


@cache
def model(fit: int = 100, calibrate: int = 180, judge: int | None = None) -> Artifact:
    """A model that has learnt from the frame's first rows; a window each four seconds."""
    tiny = tiny_artifact(length=8, stride=4)
    known = {"fit": Span(start=at(0), end=at(fit)), "calibrate": Span(start=at(fit), end=at(calibrate))}
    known |= {"judge": Span(start=at(calibrate), end=at(judge))} if judge else {}
    return replace(tiny, manifest=msgspec.structs.replace(tiny.manifest, spans=known))


def readings(rows: int = 400) -> Table:
    return files.table(swinging(rows=rows), CHANNELS)


def asked(labels: Sequence[Event], table: Table | None = None, baselines: Sequence[str] = ()) -> Question:
    where = readings() if table is None else table
    return Question(usual_config(model().manifest), where, labels, baselines, lambda config: Gathered(where))


def evaluated(question: Question, artifact: Artifact | None = None) -> Evaluation:
    return evaluate(artifact or model(), question, lambda stage: lambda handled: None)


@pytest.fixture(scope="module")
def found() -> Evaluation:
    """One pump's fault is found, one is missed, one alert is false, and one label was learnt from."""
    return evaluated(asked([CALM, HOT, LEARNT], baselines=[SIGMA]))


def test_alerts_and_events_are_counted_whole(found: Evaluation) -> None:
    own = found.figures[0]
    assert (own["alerts"], own["true"], own["false"], own["precision"]) == (2, 1, 1, 0.5)
    assert (own["events"], own["found"], own["recall"], own["f1"]) == (2, 1, 0.5, 0.5)
    (alert,) = found.outcomes[0].true
    assert own["median_delay_s"] == own["p90_delay_s"] == (alert.known - HOT.start) / 1000 > 0
    assert own["false_per_series_week"] == pytest.approx(1 / found.weeks)
    assert found.weeks == pytest.approx(2 * 220 / 604_800, rel=0.03)


def test_what_was_missed_and_what_was_false_is_told(found: Evaluation) -> None:
    (missed,) = found.missed
    assert missed.event == CALM and missed.peak is not None and missed.peak < 1
    assert {channel.name for channel in missed.channels} == set(CHANNELS)
    (wrong,) = found.false
    assert wrong.alert.series == "pump-2" and wrong.alert.channels[0].name == "channel-1"
    facts = found.facts()
    assert [(one["series"], one["found"], one["found_by"]) for one in facts["events"]] == [
        ("pump-1", True, ["1", SIGMA]),
        ("pump-2", False, []),
    ]
    assert facts["events"][1]["peak"] == missed.peak and "peak" not in facts["events"][0]
    assert [(one["series"], one["span"], one["in_sample"]) for one in facts["false"]] == [("pump-2", UNSEEN, False)]
    assert facts["counted"]["events"] == 2 and facts["counted"]["events_in_sample"] == 1
    msgspec.json.encode(facts)


@pytest.mark.parametrize("calm", [CALM, event("pump-2", 181, 185)], ids=["after it was hot", "before"])
def test_the_highest_score_of_a_missed_event_is_that_of_a_window_that_reaches_into_it(calm: Event) -> None:
    found = evaluated(asked([calm]))
    (missed,) = found.missed
    past, seen = found.past, []
    for row, name in enumerate(past.windows.series):
        start, end = int(past.windows.start[row]), int(past.windows.end[row])
        if name == calm.series and end > calm.start and start < calm.end:
            seen.append((float(past.error[row]) / 4, end))  # a score of 1 is an error of 4
    assert (missed.peak, missed.peak_time) == max(seen)
    assert max(seen)[0] < 1 < past.error[past.series == 1].max() / 4


def test_time_in_alert_is_of_what_is_neither_labelled_nor_learnt(found: Evaluation) -> None:
    normal = 2 * 220 - 20 - 30  # s, of both pumps
    on = {one.alert.series: (one.alert.start, one.until) for one in found.told}
    before_and_after = on["pump-1"][1] - at(220) + at(200) - on["pump-1"][0]
    false = on["pump-2"][1] - on["pump-2"][0]
    assert found.figures[0]["share_in_alert"] == pytest.approx((before_and_after + false) / 1000 / normal)


def test_the_volume_is_the_mean_over_series_with_an_event_out_of_sample() -> None:
    labels = [HOT, event("pump-2", 205, 215), LEARNT]
    frame = pd.concat([swinging(rows=400), swinging(rows=400, series=["pump-3"])])
    found = evaluated(asked(labels, files.table(frame, CHANNELS)))
    scores, expected = streamae.score(model(), frame), []
    for name, first, last in (("pump-1", 200, 220), ("pump-2", 205, 215)):
        rows = (frame["series"] == name).to_numpy()
        label = np.isin(np.arange(400), range(first, last))[180:]
        repeats = period(frame["channel-0"].to_numpy()[rows][180:])
        both = (scores[kind].to_numpy()[rows][180:] for kind in ("score", "settled"))
        expected.append([volume(label, one, repeats) for one in both])
    own = found.figures[0]
    assert [own["vus_pr"], own["vus_pr_settled"]] == pytest.approx(np.mean(expected, axis=0))
    assert found.facts()["counted"]["series_with_events"] == 2
    assert own["vus_pr"] != pytest.approx(expected[0][0])


def test_what_a_model_has_learnt_from_does_not_count() -> None:
    table = readings()
    late = model(fit=150, calibrate=240)  # both pumps were hot while it was calibrated
    found = evaluated(asked([HOT, CALM], table), late)
    own = found.figures[0]
    assert (own["alerts"], own["false"], own["events"], own["precision"], own["f1"]) == (0, 0, 1, None, 0.0)
    assert found.false == () and len(found.told) == 2
    assert any("1 of 2 labelled events lie in fit and calibrate" in note for note in found.notes)
    across = evaluated(asked([event("pump-1", 170, 220), CALM], table))  # it reaches into what was learnt from
    assert [one.event for one in across.outcomes[0].found] == [CALM]
    assert across.figures[0]["alerts"] == 1, "the alert on such an event is neither true nor false"


def test_a_refit_makes_the_judge_span_in_sample_too() -> None:
    plain = model(judge=260)
    report = {"refit": True}
    again = replace(plain, manifest=msgspec.structs.replace(plain.manifest, report=report))
    assert evaluated(asked([HOT, CALM]), plain).figures[0]["events"] == 2
    found = evaluated(asked([HOT, CALM]), again)
    assert found.figures[0]["events"] == 1
    assert any("fitted once more on all its spans" in note for note in found.notes)
    with pytest.raises(DataError, match=r"in-sample: all 1 events .* judge .*, for it was fitted once more"):
        evaluated(asked([HOT]), again)


def test_an_alert_that_was_out_before_an_event_began_has_no_delay() -> None:
    truth = Truth.of(readings(), model().manifest, [event("pump-1", 250, 260), CALM])
    long = Alerted("pump-1", at(200), at(255), at(210))
    late = Alerted("pump-2", at(301), None, at(312))
    one = Contender("any", [long, late], np.zeros(800), None)
    figures = outcome(truth, one, Outcome.of(truth, one, LENGTH_MS), 1.0)
    assert (figures["found"], figures["found_by_older"], figures["median_delay_s"]) == (2, 1, 12)
    assert figures["share_in_alert"] == pytest.approx((50 + 70) / (440 - 40))  # what has not ended goes on


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([], "labels: there is no event in them"),
        ([event("pump-9", 200, 220)], "of series pump-9, and the readings are of pump-1, pump-2"),
        ([event("pump-1", 5000, 5100)], r"none of 1 events, 2026-.*Z to .*Z, lies in the time of the readings"),
        ([LEARNT], r"everything is in-sample: all 1 events lie in fit \(2026-.*\) and calibrate"),
    ],
)
def test_labels_of_which_nothing_counts_are_refused(labels: list[Event], says: str) -> None:
    with pytest.raises(DataError, match=says):
        evaluated(asked(labels))


def test_labels_of_which_some_do_not_count_are_noted() -> None:
    found = evaluated(asked([HOT, event("pump-9", 200, 220), event("pump-2", 5000, 5100)]))
    assert "1 of 3 labelled events are of series without readings: pump-9" in found.notes
    assert "1 labelled events lie outside of the time of their series' readings" in found.notes
    assert found.figures[0]["events"] == 1


@PATIENT
@given(st.data())
def test_rows_lie_in_the_times_that_hold_them(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    series = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    time = data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
    values = data.draw(st.lists(st.sampled_from([1.0, np.nan]), min_size=count, max_size=count))
    table = Table(("a", "b", "c"), np.array(series), np.array(time), np.array(values)[:, None])
    starts = st.tuples(st.sampled_from("abc"), st.integers(-5, 45), st.integers(1, 20))
    times = [(name, start, start + length) for name, start, length in data.draw(st.lists(starts, max_size=4))]
    rows = Rows.of(table)
    held = [("abc"[series[row]], time[row]) for row in rows.order.tolist()]
    assert held == sorted(held)
    inside = [any(name == of and start <= when < end for of, start, end in times) for name, when in held]
    assert rows.within(times).tolist() == inside
    measured = {(name, when // 5) for (name, when), row in zip(held, rows.order, strict=True) if values[row] == 1}
    ticks = [(name, when // 5) for (name, when), first in zip(held, rows.ticks(5), strict=True) if first]
    assert sorted(ticks) == sorted(measured)


def test_sigma_is_calibrated_for_the_models_budget(found: Evaluation) -> None:
    own, sigma = found.figures
    assert (sigma["name"], sigma["vus_pr_settled"]) == (SIGMA, None)
    assert (sigma["found"], sigma["false"]) == (1, 1)
    assert sigma["median_delay_s"] == 0 < own["median_delay_s"], "it looks at single readings, and they are far off"
    assert sigma["vus_pr"] > 0.3


def test_sigma_knows_nothing_of_context() -> None:
    tiny = model()
    channels = (tiny.manifest.channels[0], msgspec.structs.replace(tiny.manifest.channels[1], scored=False))
    blind = replace(tiny, manifest=msgspec.structs.replace(tiny.manifest, channels=channels))
    found = evaluated(asked([HOT], baselines=[SIGMA]), blind)
    assert found.figures[1]["found"] == 0, "what is hot is context"


def test_a_baseline_is_trained_by_the_job_on_what_the_model_was_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[Config, Table, str]] = []

    def train(config: Config, gathered: Gathered, **more: object) -> Artifact:
        trained.append((config, gathered.table, config.training.autoencoder))
        return tiny_artifact(length=8, stride=4, threshold=1e6)  # a baseline that never says anything

    monkeypatch.setattr(job, "train", train)
    own = model(judge=240)
    found = evaluated(asked([HOT, CALM], baselines=["kmeans", "pca"]), own)
    assert [name for _, _, name in trained] == ["kmeans", "pca"]
    assert [one["name"] for one in found.figures] == ["1", "kmeans", "pca"]
    for config, table, _ in trained:
        assert (table.time.min(), table.time.max()) == (at(0), at(239)), "nothing newer than the model's spans"
        assert split(table, config.training.spans, own.manifest.window) == own.manifest.spans
        assert config.windows.spec() == own.manifest.window
        assert config.training.budget_per_week == own.manifest.budget_per_week
    assert [one["found"] for one in found.figures] == [1, 0, 0]
    assert found.facts()["events"][0]["found_by"] == ["1"]


@pytest.mark.parametrize(("first", "last"), [(120, 400), (1, 400), (0, 179), (180, 400)])
def test_baselines_need_the_readings_that_the_model_was_trained_on(first: int, last: int) -> None:
    rest = readings().between(at(first), at(last))
    question = asked([HOT], baselines=[SIGMA])._replace(gather=lambda config: Gathered(rest))
    with pytest.raises(DataError, match=r"trained on, 2026-03-01T00:00:00Z to .*, and these readings, 2026-03-01T00:0"):
        evaluated(question)
    assert evaluated(question._replace(baselines=[])).figures[0]["found"] == 1
    whole = Gathered(readings().between(at(0), at(180)))
    assert evaluated(question._replace(gather=lambda config: whole)).figures[1]["name"] == SIGMA


def test_a_model_is_not_its_own_baseline() -> None:
    own = replace(model(), manifest=msgspec.structs.replace(model().manifest, autoencoder="pca"))
    found = evaluated(asked([HOT], baselines=["pca"]), own)
    assert [one["name"] for one in found.figures] == ["1"]
    assert any("the model is itself pca" in note for note in found.notes)


def test_times_that_only_the_model_left_out_are_noted() -> None:
    own = replace(model(), manifest=msgspec.structs.replace(model().manifest, report={"left_out": {"spans": 2}}))
    found = evaluated(asked([HOT], baselines=[SIGMA]), own)
    assert any("it left 2 times out; the baselines left 0 out" in note for note in found.notes)


def test_baselines_are_called_by_their_names() -> None:
    assert check(["pca", "sigma", "pca"]) == ("pca", "sigma")
    with pytest.raises(ConfigError, match="no baseline 'knn'; known: pca, kmeans, neighbours, sigma"):
        check([*BASELINES, "knn"])


@PATIENT
@given(st.integers(70, 4000), st.floats(0.05, 0.9), st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_the_spans_of_a_job_come_out_again(rows: int, fit: float, calibrate: float) -> None:
    window = model().manifest.window
    shares = Spans(fit=fit, calibrate=calibrate * (1 - fit))
    table = Table(("a",), np.zeros(rows, np.int64), START + np.arange(rows) * 1000, np.zeros((rows, 2)))
    try:
        known = split(table, shares, window)
    except DataError:
        return
    manifest = msgspec.structs.replace(model().manifest, spans=known)
    again = Trained.again(manifest, usual_config(manifest), lambda config: Gathered(table))
    assert split(again.gathered.table, again.config.training.spans, window) == known


def test_a_config_is_taken_back_to_what_the_model_was_trained_with() -> None:
    manifest = msgspec.structs.replace(model().manifest, report={"seed": 5, "refit": True}, budget_per_week=3.0)
    usual = usual_config(manifest)
    now = msgspec.structs.replace(
        usual,
        readings=Readings(channels={"channel-0": "$.tags.zero", "gone": "$.gone"}),
        windows=msgspec.structs.replace(usual.windows, length=64, stride=8),
        training=msgspec.structs.replace(usual.training, seed=1, refit=False, ranges={"gone": 1.0, "channel-0": 2.0}),
        retraining=Retraining(every_s=60),
    )
    then = as_trained(now, manifest)
    assert then.windows.spec() == manifest.window
    training = then.training
    assert (training.seed, training.refit, training.budget_per_week) == (5, True, 3.0)
    assert training.ranges == {"channel-0": 2.0}
    assert then.readings.channels == {"channel-0": "$.tags.zero", "channel-1": "$.channel-1"}
    assert then.retraining == Retraining()
