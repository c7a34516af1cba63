"""The notebook's functions: frames in, artifacts and frames out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import streamae
from streamae.detection.artifact import Artifact
from streamae.errors import ConfigError, DataError, RegistryError

QUICK: dict[str, Any] = {"autoencoder": "pca", "length": 16}


def plant(rows: int = 1200, series: tuple[str, ...] = ("pump-1", "pump-2"), seed: int = 0) -> pd.DataFrame:
    """Two channels that swing together; a reading of each series every 10 s."""
    draw = np.random.default_rng(seed)
    swing = np.sin(np.arange(rows) / 50)
    frames = [
        pd.DataFrame(
            {
                "time": pd.date_range("2026-03-01", periods=rows, freq="10s", tz="UTC"),
                "series": name,
                "temperature": 60 + 5 * swing + draw.normal(0, 0.3, rows),
                "flow": 2 - swing + draw.normal(0, 0.05, rows),
            }
        )
        for name in series
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    """What is learnt from the plant."""
    return streamae.train(plant(), **QUICK)


def test_a_frame_is_learnt_and_scored(artifact: Artifact) -> None:
    assert artifact.manifest.window.cadence_ms == 10_000
    assert [channel.name for channel in artifact.manifest.channels] == ["temperature", "flow"]
    assert artifact.profiles.series == ("pump-1", "pump-2")
    later = plant(seed=1)
    later.loc[600:640, "flow"] += 3
    scores = streamae.score(artifact, later)
    assert list(scores.columns) == ["series", "score", "settled", "error_temperature", "error_flow"]
    assert scores.index.equals(later.index)
    assert (scores["score"].iloc[605:640] > 1).all()
    assert (scores["error_flow"] > scores["error_temperature"]).iloc[600:605].all()
    calm = scores["score"].drop(range(600, 660))
    assert (calm > 1).mean() < 0.01


def test_a_score_uses_no_later_row_and_a_settled_one_only_a_few(artifact: Artifact) -> None:
    frame = plant()
    whole, head = streamae.score(artifact, frame), streamae.score(artifact, frame.iloc[:700])
    assert np.array_equal(whole["score"].iloc[:700], head["score"], equal_nan=True)
    known = 700 - artifact.manifest.settled_lag
    assert np.allclose(whole["settled"].iloc[:known], head["settled"].iloc[:known], rtol=1e-9, equal_nan=True)


def test_the_order_of_rows_does_not_matter_and_is_kept(artifact: Artifact) -> None:
    frame = plant()
    mixed = frame.sample(frac=1, random_state=3)
    scores = streamae.score(artifact, mixed)
    assert scores.index.equals(mixed.index)
    pd.testing.assert_frame_equal(scores.sort_index(), streamae.score(artifact, frame))


def test_a_frame_with_a_time_index_needs_no_more_columns(artifact: Artifact) -> None:
    frame = plant(rows=300, series=("pump-1",)).set_index("time").drop(columns="series")
    assert streamae.train(frame, **QUICK).profiles.series == ("readings",)
    scores = streamae.score(artifact, frame)
    assert scores.index.equals(frame.index)
    assert scores["score"].iloc[: QUICK["length"] // 2 - 1].isna().all()  # too little before them
    assert scores["score"].iloc[QUICK["length"] :].notna().all()


def test_seed_and_options_reach_the_job() -> None:
    artifact = streamae.train(plant(rows=400), "lstm", 7, steps=1, length=16, refit=False, model="pumps")
    report = artifact.manifest.report
    assert (artifact.manifest.name, report["autoencoder"], report["seed"], report["steps"]) == ("pumps", "lstm", 7, 1)


def test_what_is_left_out_is_not_learnt() -> None:
    frame = plant(rows=600)
    frame.loc[100:200, "flow"] += 40
    span = frame["time"].iloc[[95, 205]].tolist()
    left_out = pd.DataFrame({"series": ["pump-1"], "start": [span[0]], "end": [span[1]]})
    left_out = left_out.astype({"start": "datetime64[us, UTC]", "end": "datetime64[s, UTC]"})  # of whatever resolution
    clean = streamae.train(frame, left_out=left_out, **QUICK)
    spoilt, untouched = (clean.profiles.table[row, 1, 1] for row in (1, 2))
    assert spoilt < 2 * untouched


def test_a_refit_learns_from_every_span_and_keeps_the_thresholds(artifact: Artifact) -> None:
    frame, again = plant(), artifact
    apart = streamae.train(frame, refit=False, **QUICK)
    assert apart.manifest.threshold == again.manifest.threshold
    assert apart.manifest.report["judge"] == again.manifest.report["judge"]
    assert apart.model != again.model
    assert not np.array_equal(apart.profiles.table, again.profiles.table)


def test_a_refit_knows_series_that_the_fit_span_did_not() -> None:
    old, new = plant(series=("pump-1",)), plant(series=("pump-9",), seed=4)
    late = new[new["time"] > new["time"].iloc[800]]
    known = streamae.train(pd.concat([old, late]), **QUICK)
    assert known.profiles.series == ("pump-1", "pump-9")


def test_an_artifact_is_held_against_labels(tmp_path: Path, artifact: Artifact) -> None:
    later = plant(seed=1)
    later["time"] += pd.Timedelta(days=1)
    for row in (600, 900):
        later.loc[row : row + 40, "flow"] += 3
    start, end = (later["time"].iloc[rows].tolist() for rows in ([600, 100], [640, 140]))
    labels = pd.DataFrame({"series": ["pump-1", "pump-2"], "start": start, "end": end})
    found = streamae.evaluate(artifact, later, labels, ["sigma"], trained_on=plant())
    model, sigma = found.figures.index
    assert sigma == "sigma"
    assert list(found.figures.loc[model, ["true", "false", "found", "events"]]) == [1, 1, 1, 2]
    assert found.figures.loc[model, "vus_pr"] > 0.3
    assert pd.Timedelta(0) < found.figures.loc[model, "median_delay"] < pd.Timedelta("5min")
    assert dict(zip(found.events["series"], found.events["found"], strict=True)) == {"pump-1": True, "pump-2": False}
    assert str(found.events["start"].dtype) == "datetime64[ns, UTC]"
    assert found.events["delay"].isna().tolist() == [True, False]
    assert found.false["series"].tolist() == ["pump-1"]
    found.save(tmp_path / "page.html")
    assert "Missed event 1, pump-2" in (tmp_path / "page.html").read_text()
    assert "<table>" in found._repr_html_() and "Out of sample" in repr(found)


def test_an_artifact_cannot_be_held_against_what_it_learnt_from(artifact: Artifact) -> None:
    frame = plant()
    labels = pd.DataFrame({"series": ["pump-1"], "start": [frame["time"][1100]], "end": [frame["time"][1150]]})
    with pytest.raises(DataError, match=r"everything is in-sample: .*judge.*fitted once more on all its spans"):
        streamae.evaluate(artifact, frame, labels)
    with pytest.raises(ConfigError, match="no baseline 'knn'"):
        streamae.evaluate(artifact, frame, labels, ["knn"])
    later = frame.assign(time=frame["time"] + pd.Timedelta(days=1))
    labels[["start", "end"]] += pd.Timedelta(days=1)
    with pytest.raises(DataError, match="baselines are trained on what the model was trained on"):
        streamae.evaluate(artifact, later, labels)


def test_an_artifact_is_registered_and_loaded_again(tmp_path: Path, artifact: Artifact) -> None:
    kept = streamae.register(artifact, tmp_path)
    assert (kept.manifest.name, kept.manifest.version) == ("notebook", "v0001")
    with pytest.raises(DataError, match="no champion; name a version: v0001"):
        streamae.load(tmp_path)
    loaded = streamae.load(tmp_path, version="v0001")
    assert loaded.manifest == kept.manifest
    with pytest.raises(RegistryError, match="no model 'valves'"):
        streamae.load(tmp_path, "valves")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lenght": 16}, "no option 'lenght'"),
        ({"length": 1}, r"\$.windows.length"),
        ({"stride": 99}, "stride must be from 1 to length"),
        ({"autoencoder": "gru"}, "there is no autoencoder `gru`; known: .*lstm"),
        ({"budget_per_week": 0}, "budget_per_week"),
        ({"context": ["level"]}, "level"),
        ({"files": ["x.csv"]}, "no option 'files'"),
    ],
)
def test_an_option_that_does_not_fit_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        streamae.train(plant(rows=300), **({"autoencoder": "pca"} | options))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame.drop(columns="time"), "neither a column `time` nor a time index"),
        (lambda frame: frame.iloc[:30], "too few to fit and calibrate on"),
        (lambda frame: frame.iloc[:1], "no cadence"),
        (lambda frame: frame.iloc[:0], "holds no readings"),
        (lambda frame: frame.assign(flow="wide open"), "channel flow holds what is not a number"),
        (lambda frame: frame[["time", "series"]], "no column of a channel"),
    ],
)
def test_a_frame_that_cannot_be_learnt_from_is_refused(change: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        streamae.train(change(plant(rows=300)), "pca")


def test_a_frame_with_other_channels_is_not_scored(artifact: Artifact) -> None:
    with pytest.raises(DataError, match="no column temperature"):
        streamae.score(artifact, plant(rows=100).drop(columns="temperature"))


def test_streamae_shows_its_functions() -> None:
    assert {"train", "score", "evaluate", "load", "register"} <= set(dir(streamae))
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        streamae.fit  # noqa: B018
