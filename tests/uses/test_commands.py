"""`streamae embed`, `clean`, `impute`, `generate`: the files they write, what they print, and their exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

import streamae
from streamae.cli import app
from streamae.detection.artifact import Artifact
from streamae.errors import ConfigError, DataError, StreamaeError
from streamae.registry import Registry
from streamae.training.repairs_report import said_of
from tests.graphs import tiny_artifact, tiny_config, waving
from tests.history.tables import swinging

CONFIG = tiny_config(8, 4)
MEASURED: dict[str, Any] = {
    "noise": 0.1,
    "clean": {"model": 3.4, "pca": 3.2, "wiener": 3.5, "moving average": -2.9},
    "impute": {"model": 0.4, "pca": 0.5, "linear": 0.6, "last value": 0.7},
}


def artifact(conditional: bool = False) -> Artifact:
    made = tiny_artifact(length=8, stride=4, scored=[True, not conditional], centres={"pump-1": 2.0})
    report = {"uses": MEASURED, "conditions": {"channel-1": [-1.0, 1.0]} if conditional else {}}
    return waving(
        replace(made, manifest=msgspec.structs.replace(made.manifest, report=report)), conditional=conditional
    )


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config, a champion, and a file of readings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plant.toml").write_text(CONFIG)
    crown(artifact())
    swinging().to_parquet(tmp_path / "old.parquet")
    return tmp_path


def crown(champion: Artifact) -> None:
    registry = Registry("registry")
    version = registry.register(champion).manifest.version
    registry.promote("tiny", version, 0, "for the test")


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, list(arguments), catch_exceptions=True)
    if isinstance(found.exception, StreamaeError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_file_of_codes_has_a_row_a_window(plant: Path) -> None:
    said = run("embed", "plant.toml", "old.parquet", "--out", "codes.parquet")
    table = parquet.read_table(plant / "codes.parquet")
    wanted = streamae.embed(streamae.load("registry", "tiny"), pd.read_parquet(plant / "old.parquet"))
    assert table.column_names == ["series", "start", "end", "observed", "embedding", "version"]
    assert f"codes.parquet: {len(wanted)} windows by tiny v0001" in said
    found = table.to_pandas().sort_values(["series", "start"], ignore_index=True)
    np.testing.assert_array_equal(np.stack(found["embedding"]), wanted.filter(like="code_").to_numpy())
    assert table.schema.metadata[b"streamae.version"] == b"v0001"


@pytest.mark.parametrize(("use", "function"), [("clean", streamae.clean), ("impute", streamae.impute)])
def test_a_file_of_ticks_is_what_the_notebook_gives(plant: Path, use: str, function: Any) -> None:
    assert ". Here a Wiener" in run("clean", "plant.toml", "old.parquet", "--out", "first.parquet")
    facts = json.loads(run(use, "plant.toml", "old.parquet", "--out", "done.parquet", "--json"))
    wanted = function(streamae.load("registry", "tiny"), pd.read_parquet(plant / "old.parquet"))
    found = pd.read_parquet(plant / "done.parquet").sort_values(["series", "time"], ignore_index=True)
    assert (facts["rows"], facts["unit"], facts["measured"]) == (len(wanted), "ticks", MEASURED[use])
    pd.testing.assert_frame_equal(found[wanted.columns], wanted, check_dtype=False)


def test_what_would_have_done_as_well_is_said() -> None:
    report = {"uses": MEASURED}
    (said,) = said_of("clean", report)
    assert said.startswith("on the calibrate span it takes 3.4 dB of noise of 0.1 scales away; PCA of the same size")
    assert said.endswith(". Here a Wiener filter without a model does better")
    (said,) = said_of("impute", report)
    assert said == (
        "on the calibrate span what it fills is 0.4 scales off; "
        "PCA of the same size 0.5, a straight line 0.6, the last value 0.7"
    )
    assert said_of("embed", report) == said_of("clean", {}) == []
    assert said_of("impute", {"uses": {"noise": 0.1, "impute": {"model": None, "linear": None}}}) == []


def test_generated_series_are_written_each_with_a_seed_of_its_own(plant: Path) -> None:
    said = run("generate", "plant.toml", "--out", "made.parquet", "--ticks", "50", "--count", "2", "--seed", "7")
    found = pd.read_parquet(plant / "made.parquet")
    assert found["series"].unique().tolist() == ["generated-7", "generated-8"]
    assert "2 series of 50 ticks by tiny v0001, seed 7; they are made up, none was measured" in said
    wanted = streamae.generate(streamae.load("registry", "tiny"), 50, seed=8)
    one = found[found["series"] == "generated-8"].set_index("time")[["channel-0", "channel-1"]]
    pd.testing.assert_frame_equal(one, wanted, check_index_type=False, check_names=False, check_freq=False)


def test_series_are_generated_between_two_files(plant: Path) -> None:
    """And as in the notebook."""
    frame = pd.read_parquet("old.parquet")
    ends = [frame[frame["series"] == "pump-1"].iloc[:60], frame[frame["series"] == "pump-1"].iloc[60:]]
    for name, end in zip("ab", ends, strict=True):
        end.to_parquet(f"{name}.parquet")
    run("generate", "plant.toml", "--out", "made.parquet", "--ticks", "50", "--between", "a.parquet", "b.parquet")
    wanted = streamae.generate(streamae.load("registry", "tiny"), 50, by=(ends[0], ends[1]))
    found = pd.read_parquet(plant / "made.parquet")
    np.testing.assert_array_equal(found[["channel-0", "channel-1"]], wanted)
    with pytest.raises(ConfigError, match="--conditions and --between are both given"):
        run("generate", "plant.toml", "--out", "x", "--between", "a.parquet", "b.parquet", "--conditions", "a.parquet")


def test_conditions_come_from_files(plant: Path) -> None:
    """A tick without a value is as the one before."""
    crown(artifact(conditional=True))
    time = np.array([0, 1, 2, 5, 6]) * 1000 + 1_700_000_000_000
    pd.DataFrame({"time": time, "channel-1": [0.5, 0.5, -0.5, 1.0, 1.0]}).to_csv("given.csv", index=False)
    run("generate", "plant.toml", "--out", "made.parquet", "--ticks", "8", "--conditions", "given.csv")
    found = pd.read_parquet(plant / "made.parquet")
    assert found["channel-1"].tolist() == [0.5, 0.5, -0.5, -0.5, -0.5, 1.0, 1.0, 1.0]
    assert found["time"].tolist() == pd.to_datetime(time[0] + np.arange(8) * 1000, unit="ms", utc=True).tolist()
    frame = pd.DataFrame({"channel-1": found["channel-1"]})
    wanted = streamae.generate(streamae.load("registry", "tiny"), 8, by=frame)
    np.testing.assert_array_equal(found["channel-0"], wanted["channel-0"])
    with pytest.raises(DataError, match="by: no column 'channel-1'"):
        streamae.generate(streamae.load("registry", "tiny"), 8, by=frame.rename(columns={"channel-1": "speed"}))


def test_a_series_starts_when_it_is_told_to(plant: Path) -> None:
    run("generate", "plant.toml", "--out", "made.parquet", "--ticks", "8", "--start", "2026-06-01T12:00:00Z")
    time = pd.read_parquet(plant / "made.parquet")["time"]
    assert time.tolist() == pd.date_range("2026-06-01T12:00:00Z", periods=8, freq="s").tolist()
    with pytest.raises(ConfigError, match="--conditions and --start are both given: the series starts where"):
        run("generate", "plant.toml", "--out", "x", "--start", "2026-06-01", "--conditions", "old.parquet")


def test_what_a_model_cannot_do_is_refused_before_anything_is_written(plant: Path) -> None:
    plain = tiny_artifact(length=8, stride=4)
    assert plain.repair is not None
    none = np.empty((0, 2), np.float32)
    crown(replace(plain, repair=replace(plain.repair, weight=none, spread=none)))
    with pytest.raises(ConfigError, match="cannot generate"):
        run("generate", "plant.toml", "--out", "made.parquet")
    with pytest.raises(ConfigError, match="cannot impute"):
        run("impute", "plant.toml", "old.parquet", "--out", "made.parquet")
    with pytest.raises(ConfigError, match="knows no conditions"):
        crown(artifact())
        run("generate", "plant.toml", "--out", "made.parquet", "--ticks", "8", "--conditions", "old.parquet")
    with pytest.raises(ConfigError, match="7 ticks are shorter than a window"):
        run("generate", "plant.toml", "--out", "made.parquet", "--ticks", "7")
    with pytest.raises(ConfigError, match="is there already"):
        run("clean", "plant.toml", "old.parquet", "--out", "old.parquet")
    assert not (plant / "made.parquet").exists()


def test_a_frame_without_a_whole_window_has_no_code(plant: Path) -> None:
    frame = pd.DataFrame({"time": [0, 1000], "channel-0": [1.0, 2.0], "channel-1": [1.0, 2.0]})
    with pytest.raises(DataError, match="no series has a whole window of 8 ticks to embed"):
        streamae.embed(artifact(), frame.assign(time=frame["time"] + 1_700_000_000_000))
