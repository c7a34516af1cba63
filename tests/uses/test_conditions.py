"""A conditional model that is told hour, weekday and mode: what it generates obeys them, nothing else shows them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import streamae
from streamae.config import parse
from streamae.detection.artifact import Artifact
from streamae.doctor import explain
from streamae.errors import ConfigError, DataError
from streamae.history.contenders import usual_config
from streamae.uses.generating import Wish, generate
from tests.graphs import tiny_artifact, tiny_config, waving

CADENCE_S, DAY = 1800, 48  # ticks of a day
LEVELS = np.array([1.0, -2.0, 3.0])  # of the flow, by the mode: no line goes through them


def shop(days: int = 80) -> pd.DataFrame:
    """A shop that draws power around two in the afternoon, less at the weekend, and whose flow its mode decides."""
    rng, ticks = np.random.default_rng(0), days * DAY
    time = pd.date_range("2026-01-01", periods=ticks, freq=f"{CADENCE_S}s", tz="UTC")
    hour = np.asarray(time.hour + time.minute / 60)
    open_share = np.where(time.dayofweek >= 5, 0.3, 1.0)
    mode = rng.integers(0, 3, ticks // 24 + 1).repeat(24)[:ticks]
    power = 3 * np.exp(-(((hour - 14) / 3) ** 2)) * open_share
    noise = 0.1 * rng.normal(size=(ticks, 2))
    return pd.DataFrame({"power": power + noise[:, 0], "flow": LEVELS[mode] + noise[:, 1], "state": mode}, index=time)


@pytest.fixture(scope="module")
def model() -> Artifact:
    return streamae.train(
        shop(),
        "dense",
        objective="conditional",
        modes=("state",),
        calendar=("day", "week"),
        steps=150,
        baselines=(),
        cadence_s=CADENCE_S,
    )


@pytest.fixture(scope="module")
def weeks(model: Artifact) -> pd.DataFrame:
    """Two weeks of it, from a Monday on, each day in another mode."""
    time = pd.date_range("2026-06-01", periods=14 * DAY, freq=f"{CADENCE_S}s", tz="UTC")
    return streamae.generate(model, len(time), by=pd.DataFrame({"state": np.arange(len(time)) // DAY % 3}, index=time))


def test_a_series_starts_when_its_conditions_do(weeks: pd.DataFrame) -> None:
    assert weeks.index[0] == pd.Timestamp("2026-06-01", tz="UTC")
    assert weeks.columns.tolist() == ["power", "flow", "state"]


def test_hours_and_weekends_are_obeyed(weeks: pd.DataFrame) -> None:
    time = pd.DatetimeIndex(weeks.index)
    of_hour = weeks["power"].groupby([time.dayofweek >= 5, time.hour]).mean()
    assert of_hour[False, 14] > 1.5
    assert of_hour[True, 14] < 1.2
    assert max(abs(of_hour[weekend, hour]) for weekend in (False, True) for hour in (1, 2, 3, 4)) < 0.6


def test_modes_are_obeyed_and_have_no_order(weeks: pd.DataFrame) -> None:
    flow = weeks.groupby("state")["flow"].mean()
    np.testing.assert_allclose(flow, LEVELS, atol=0.6)


def test_a_mode_that_was_never_seen_is_refused(model: Artifact) -> None:
    with pytest.raises(DataError, match=r"the condition state is 7 somewhere, .* was trained on the modes 0, 1, 2"):
        streamae.generate(model, 200, by=pd.DataFrame({"state": [1.0] * 100 + [7.0] * 100}))


def test_what_is_made_is_seen_by_the_model_alone(model: Artifact) -> None:
    assert model.manifest.measured == ("power", "flow", "state")
    assert [name for name in model.manifest.names if name not in model.manifest.measured] == [
        "@day.sin", "@day.cos", "@week.sin", "@week.cos", "@state=0", "@state=1", "@state=2",
    ]  # fmt: skip
    assert model.manifest.report["conditions"] == {"state": [0.0, 2.0]}
    scores = streamae.score(model, shop(5))
    assert [name for name in map(str, scores) if name.startswith("error_")] == [
        "error_power",
        "error_flow",
        "error_state",
    ]


def test_baselines_that_are_trained_beside_it_are_told_the_same(model: Artifact) -> None:
    training = usual_config(model.manifest).training
    assert (training.context, training.modes, training.calendar) == ((), ("state",), ("day", "week"))


def test_a_model_that_knows_the_calendar_alone_needs_a_time() -> None:
    """The code of the tiny model is 0 where it is told nothing else: what is left is the sine of the day."""
    noon = 1_700_049_600_000
    tiny = tiny_artifact(1, length=64, stride=4, cadence_ms=600_000, derived=["@day.sin"])
    artifact = waving(tiny, conditional=True)
    morning, evening = (
        np.mean([generate(artifact, Wish(64, seed=seed, start=noon + hours * 3_600_000)) for seed in range(5)])
        for hours in (-8, 0)
    )
    assert morning - evening > 1
    with pytest.raises(ConfigError, match="obeys the calendar alone: leave conditions out, and say at which time"):
        generate(artifact, Wish(64, conditions=np.zeros((64, 1))))


def test_a_calendar_makes_up_for_no_sensor() -> None:
    """Of three channels one is there: too little to learn from, however well the hour is known."""
    with pytest.raises(DataError, match="holds no window of 128 ticks of which 50% was observed"):
        streamae.train(shop().assign(flow=np.nan, state=np.nan), "pca", calendar=("day",), cadence_s=CADENCE_S)


def test_check_says_what_a_model_is_told() -> None:
    training = '[training]\nobjective = "conditional"\ncontext = ["channel-1"]\ncalendar = ["day", "week"]\n'
    said = " ".join(explain(parse(tiny_config(8, 4) + training)))
    assert "; it is told channel-1, the time in the day, the time in the week, which are not scored" in said
    assert "it is told" not in " ".join(explain(parse(tiny_config(8, 4))))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (np.arange(3840) / 10, r"modes: state takes \d+ values in the fit span .* name it in \$.training.context"),
        (np.full(3840, np.nan), "modes: state takes 0 values in the fit span .it is silent"),
        (np.arange(3840) % 2 / 2, "modes: state takes 2 values in the fit span .0, 0.5"),
    ],
    ids=["many", "silent", "halves"],
)
def test_what_is_no_mode_is_refused(state: np.ndarray[tuple[int], np.dtype[np.float64]], says: str) -> None:
    with pytest.raises(DataError, match=says):
        streamae.train(shop().assign(state=state), "dense", modes=("state",), cadence_s=CADENCE_S)
