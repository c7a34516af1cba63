"""From stored readings to an artifact."""

from __future__ import annotations

from pathlib import Path

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
    assert set(found["seconds"]) == {"fit", "export", "calibrate", "judge"}
    assert ("baseline" in found) == ("verdict" in found) == (found["autoencoder"] != "pca")
    console = Console(width=100)
    with console.capture() as said:
        console.print(report.render(found))
    assert f"Trained {found['autoencoder']}" in said.get()
    assert "false per series and week" in said.get()


@pytest.mark.parametrize(
    ("saved", "says"), [(0.3, "30% better than pca"), (0.01, "not worth it here"), (0.0, "not worth it")]
)
def test_an_autoencoder_that_is_not_worth_it_is_told_so(saved: float, says: str) -> None:
    facts = {
        "autoencoder": "lstm",
        "parameters": 7,
        "held_out_loss": [[0, 1.0], [10, 1.0 - saved]],
        "baseline": {"autoencoder": "pca", "held_out_loss": 1.0},
    }
    assert says in report.verdict(facts)


@pytest.mark.parametrize(
    ("loss", "says"),
    [(0.5, "50% better than pca"), (0.95, "5% better than"), (2.5, "150% worse than"), (1.004, "as well as")],
)
def test_baselines_are_compared_plainly(loss: float, says: str) -> None:
    """Nobody is told to take one simple baseline in place of another."""
    baseline = {"autoencoder": "pca", "held_out_loss": 1.0}
    facts = {"autoencoder": "kmeans", "parameters": 0, "held_out_loss": [[0, loss]], "baseline": baseline}
    assert says in report.verdict(facts)
    assert "not worth it" not in report.verdict(facts)


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
    trained = job.train(configured("pca", "[training.spans]\nfit = 0.6\ncalibrate = 0.3\n"), fleet_frame(300))
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
