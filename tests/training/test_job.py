"""From stored readings to an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from streamae.detection.artifact import Artifact
from streamae.detection.scoring import Scorer
from streamae.errors import ConfigError, DataError
from streamae.training import files, job, report
from streamae.training.material import prepare
from streamae.training.series import LeftOut
from tests.training.conftest import CHANNELS, configured, fleet_frame


def test_the_artifact_survives_its_files_and_reproduces_its_golden_windows(artifact: Artifact) -> None:
    again = Artifact.decode(artifact.encode())
    Scorer(again).prove()
    assert len(again.golden.windows) == 16
    assert np.isnan(again.golden.windows).any()
    assert again.manifest.version == ""
    assert again.profiles.series == ("m1", "m2")
    assert set(again.manifest.spans) == {"fit", "calibrate", "judge"}
    assert msgspec.json.decode(msgspec.json.encode(again.manifest.report)) == again.manifest.report


def test_scores_of_normal_readings_keep_about_to_the_budget(artifact: Artifact) -> None:
    """The budget of the tests, 500 a week, is 0.66 in the 800 ticks of two machines that were judged."""
    assert artifact.manifest.report["judge"]["alerts"] <= 6
    assert artifact.manifest.settled_smoothing == 2


def test_the_report_says_what_was_done_and_whether_it_was_worth_it(artifact: Artifact) -> None:
    found = artifact.manifest.report
    assert found["series"] == found["profiles"] == 2
    assert set(found["seconds"]) == {"fit", "export", "calibrate", "judge", "repair", "prove"}
    assert set(found["baselines"]) == set(configured().training.baselines) - {found["autoencoder"]}
    assert all(facts["judge"] and facts["duel"] for facts in found["baselines"].values())
    console = Console(width=400)
    with console.capture() as said:
        console.print(report.render(found))
    assert f"Trained {found['autoencoder']}" in said.get()
    judged = found["judge"]
    assert f"{judged['false']} false seen, where the budget allows {judged['allowed']:g}" in said.get()
    assert f"{found['autoencoder']} finds" in said.get()


def duel(found: int, beside: int, *, better: bool = False, worse: bool = False) -> dict[str, Any]:
    return {"injected": 200, "found": found, "baseline_found": beside, "better": better, "worse": worse}


def said_of(autoencoder: str, parameters: int, **duels: dict[str, Any] | None) -> str:
    baselines = {name: {"duel": one} for name, one in duels.items()}
    return report.verdict({"autoencoder": autoencoder, "parameters": parameters, "baselines": baselines})


def test_an_autoencoder_that_is_not_worth_it_is_told_so() -> None:
    better = said_of("lstm", 7, pca=duel(150, 100, better=True), kmeans=duel(150, 60, better=True))
    assert better == "of 200 injected anomalies lstm finds 150; pca 100 (clearly fewer), kmeans 60 (clearly fewer)"
    for no_better in (duel(101, 100), duel(40, 100, worse=True)):
        assert 'lstm is not worth it here: train with autoencoder = "pca"' in said_of("lstm", 7, pca=no_better)


def test_baselines_are_compared_plainly() -> None:
    """Nobody is told to take one simple baseline in place of another."""
    said = said_of("kmeans", 0, pca=duel(60, 100, worse=True), neighbours=duel(60, 61))
    assert said == "of 200 injected anomalies kmeans finds 60; pca 100 (clearly more), neighbours 61"


def test_too_few_windows_for_anomalies_are_said_to_be() -> None:
    assert "too few windows" in said_of("lstm", 7, pca=None)


def test_the_same_seed_gives_the_same_model(frame: pd.DataFrame) -> None:
    one, other = (job.train(configured("pca"), frame) for _ in range(2))
    assert one.model == other.model
    assert one.full == other.full
    assert one.manifest.threshold == other.manifest.threshold
    np.testing.assert_array_equal(one.profiles.table, other.profiles.table)


def test_calibrate_never_sees_fit_and_fit_never_sees_what_comes_later(frame: pd.DataFrame) -> None:
    """What lies after a span changes nothing in what it gives."""
    config, table = configured(), files.table(frame, CHANNELS)
    material = prepare(config, table)
    spoilt = frame.copy()
    spoilt.loc[spoilt["time"] >= material.spans["fit"].end, list(CHANNELS)] *= 50
    other = prepare(config, files.table(spoilt, CHANNELS))
    np.testing.assert_array_equal(material.fit.profiles.table, other.fit.profiles.table)
    every = np.arange(len(material.fit.learn))
    np.testing.assert_array_equal(material.fit.learn.windows(every), other.fit.learn.windows(every))
    starts = [part.first * 1000 for part in material.calibrate]
    assert min(starts) >= material.spans["fit"].end


def test_times_that_are_not_normal_are_neither_fitted_nor_calibrated_on(frame: pd.DataFrame) -> None:
    table = files.table(frame, CHANNELS)
    start = int(table.time.min())
    left_out = [LeftOut("m1", start + 100_000, start + 200_000), LeftOut("m1", start + 2_500_000, start + 2_600_000)]
    material = prepare(configured(), table, left_out)
    whole = prepare(configured(), table)
    assert len(material.fit.learn) == len(whole.fit.learn) - 100 - 15
    assert sum(len(part.grid) for part in material.calibrate) == sum(len(part.grid) for part in whole.calibrate) - 100


def test_a_child_keeps_its_parents_origins(frame: pd.DataFrame) -> None:
    far = frame.assign(level=frame["level"] + 1e9)
    parent = job.train(configured(), far)
    assert parent.manifest.channels[0].origin == pytest.approx(1e9, rel=1e-6)
    parent_facts = msgspec.structs.replace(parent.manifest, version="7")
    child = job.train(configured(), far.assign(level=far["level"] + 5), parent=parent_facts)
    assert child.manifest.channels == parent.manifest.channels
    assert child.manifest.parent == "7"


def test_files_that_the_config_names_are_read(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "readings.parquet")
    trained = job.train(configured("pca", f'files = ["{tmp_path}/*.parquet"]\n'))
    assert trained.profiles.series == ("m1", "m2")


def test_context_channels_are_marked_and_have_no_error(frame: pd.DataFrame) -> None:
    trained = job.train(configured("pca", 'context = ["flow"]\n'), frame)
    assert [channel.scored for channel in trained.manifest.channels] == [True, False, True]
    assert (trained.golden.channel_error[:, 1] == 0).all()


def test_readings_too_short_for_a_judge_span_say_so() -> None:
    trained = job.train(configured("pca", "[training.spans]\nfit = 0.6\ncalibrate = 0.3\n"), fleet_frame(180))
    assert set(trained.manifest.spans) == {"fit", "calibrate"}
    assert trained.manifest.report["judge"] is None
    assert any("no judge span" in note for note in trained.manifest.report["notes"])


def test_odd_channels_and_series_do_not_stop_a_job() -> None:
    frame = fleet_frame(1200)
    frame.loc[frame["series"] == "m1", "flow"] = np.nan
    frame["heat"] = 21.0
    late = fleet_frame(100, ("late",)).assign(time=lambda new: new["time"] + 1_100_000)
    trained = job.train(configured("pca"), pd.concat([frame, late]))
    assert trained.profiles.series == ("m1", "m2")
    assert any("late" in note for note in trained.manifest.report["notes"])
    assert np.isfinite(trained.profiles.table).all()
    Scorer(trained).prove()


def test_levels_that_float32_cannot_tell_apart_are_noted() -> None:
    frame = fleet_frame(400)
    frame.loc[frame["series"] == "m2", "level"] += 1e9
    assert any("float32 blurs" in note for note in prepare(configured(), files.table(frame, CHANNELS)).notes)


def test_what_cannot_be_trained_on_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="too few to fit and calibrate on: at least"):
        job.train(configured(), fleet_frame(40))
    with pytest.raises(DataError, match="no column heat"):
        job.train(configured(), frame.drop(columns="heat"))
    with pytest.raises(DataError, match=r"the fit span, .* holds no window"):
        job.train(configured(), frame.assign(flow=np.nan, heat=np.nan))
    with pytest.raises(ConfigError, match="names every channel"):
        job.train(configured("pca", 'context = ["level", "flow", "heat"]\n'), frame)
