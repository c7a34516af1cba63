"""`streamae score` and `streamae backtest`: the files they write, what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

import streamae
from streamae import cli
from streamae.detection.scoring import Scorer
from streamae.errors import DataError
from streamae.history import page, stored, writing
from streamae.history import parquet as parquet_file
from streamae.history.backtest import backtest, usual_rules
from streamae.history.candidates import Asked
from streamae.history.page import PLOTS, write_page
from streamae.registry import Registry
from streamae.training import files
from tests.graphs import tiny_artifact, tiny_config
from tests.history.conftest import World
from tests.history.pages import self_contained
from tests.history.tables import swinging

CONFIG = tiny_config(8, 4)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config, a champion, and two files of readings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plant.toml").write_text(CONFIG)
    registry = Registry(tmp_path / "registry")
    version = registry.register(tiny_artifact(length=8, stride=4)).manifest.version
    registry.promote("tiny", version, 0, "for the test")
    frame = swinging()
    frame[frame["series"] == "pump-1"].to_parquet(tmp_path / "one.parquet")
    frame[frame["series"] == "pump-2"].to_csv(tmp_path / "two.csv", index=False)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of the program with these arguments."""
    monkeypatch.setattr(sys, "argv", ["streamae", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("command", ["score", "backtest"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    shown = CliRunner().invoke(cli.app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"streamae {command}" in shown.output.split("Example")[1]


def test_windows_are_written_with_all_that_serving_says(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parquet_file, "GROUP", 20)
    monkeypatch.setattr(stored, "FEWEST", 50)
    monkeypatch.setattr(stored, "MOST", 50)
    assert run(monkeypatch, "score", "plant.toml", "*.parquet", "two.csv", "--out", "scores.parquet", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    scores = pd.read_parquet("scores.parquet")
    errors = ["error_channel-0", "error_channel-1"]
    expected = ["series", "start", "end", "score", "settled", "observed", "threshold", *errors, "version"]
    assert list(scores.columns) == expected
    assert (facts["rows"], facts["unit"], facts["series"], facts["readings"]) == (len(scores), "windows", 2, 600)
    assert facts["above"] == (scores["score"] > 1).sum() > 0
    assert str(scores["start"].dtype) == "datetime64[ms, UTC]"
    assert (scores["end"] - scores["start"] == pd.Timedelta(8, "s")).all()
    assert set(scores["version"]) == {"v0001"} == {facts["version"]}
    assert scores["end"].is_monotonic_increasing
    opened = parquet.ParquetFile("scores.parquet")
    assert opened.num_row_groups > 3
    assert opened.schema_arrow.metadata[b"streamae.version"] == b"v0001"
    assert not list(plant.glob(".*.part"))


def test_rows_are_written_as_the_notebook_scores_them(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(writing, "GROUP", 70)
    assert run(monkeypatch, "score", "plant.toml", "one.parquet", "two.csv", "--out", "rows.parquet", "--rows") == 0
    assert "600 readings of 2 series, 2026-03-01 00:00" in capsys.readouterr().out
    rows = pd.read_parquet("rows.parquet")
    expected = streamae.score(streamae.load(plant / "registry", "tiny"), swinging())
    pd.testing.assert_frame_equal(rows[expected.columns], expected, check_exact=True, check_dtype=False)
    assert (rows["time"] == swinging()["time"]).all()


def test_columns_are_called_as_the_config_says(plant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plant / "plant.toml").write_text(f'{CONFIG}[training]\ntime_column = "at"\nseries_column = "pump"\n')
    swinging().rename(columns={"time": "at", "series": "pump"}).to_csv(plant / "theirs.csv", index=False)
    assert run(monkeypatch, "score", "plant.toml", "theirs.csv", "--out", "scores.parquet") == 0
    assert set(pd.read_parquet("scores.parquet")["series"]) == {"pump-1", "pump-2"}
    assert run(monkeypatch, "backtest", "plant.toml", "theirs.csv", "--json") == 0


def test_a_file_that_is_there_stays(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("scores.parquet").write_text("mine")
    command = ["score", "plant.toml", "one.parquet", "--out", "scores.parquet"]
    assert run(monkeypatch, *command) == 2
    assert "is there already: name another file, or write it anew with --force" in capsys.readouterr().err
    assert Path("scores.parquet").read_text() == "mine"
    assert run(monkeypatch, *command, "--force") == 0
    assert len(pd.read_parquet("scores.parquet"))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["plant.toml", "nowhere-*.parquet"], 1, "no file matches nowhere-*.parquet"),
        (["plant.toml", "half.parquet"], 1, "half.parquet: cannot be read"),
        (["plant.toml", "foreign.csv"], 1, "foreign.csv: no column channel-1; it has time, channel-0, flow"),
        (["plant.toml", "one.parquet", "--version", "v0009"], 1, "v0009"),
        (["other.toml", "one.parquet"], 2, "other.toml: cannot be read"),
        (["plant.toml"], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_scored_is_said_and_leaves_nothing(
    plant: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    whole = (plant / "one.parquet").read_bytes()
    (plant / "half.parquet").write_bytes(whole[: len(whole) // 2])
    (plant / "foreign.csv").write_text("time,channel-0,flow\n2026-03-01T00:00:00Z,1,2\n")
    for command, out in (("score", ["--out", "scores.parquet"]), ("backtest", ["--html", "page.html"])):
        if command == "backtest" and says == "Missing argument":
            continue
        assert run(monkeypatch, command, *arguments, *out) == code
        assert says in " ".join(capsys.readouterr().err.split())
    assert not list(plant.glob("*scores*")) and not list(plant.glob("*page*"))


def test_without_a_champion_a_version_has_to_be_named(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (plant / "plant.toml").write_text(CONFIG.replace('model = "tiny"', 'model = "young"'))
    Registry(plant / "registry").register(tiny_artifact(name="young", length=8, stride=4))
    assert run(monkeypatch, "score", "plant.toml", "one.parquet", "--out", "scores.parquet") == 1
    assert "young has no champion" in capsys.readouterr().err
    assert run(monkeypatch, "score", "plant.toml", "one.parquet", "--out", "scores.parquet", "--version", "v0001") == 0


KILLED = """
import sys
from streamae.history import parquet, scoring
parquet.GROUP = 10
slices = scoring.Stored.slices
def told(self):
    for at, readings in enumerate(slices(self)):
        yield readings
        print(at, flush=True)
        sys.stdin.readline()
scoring.Stored.slices = told
from streamae.history import stored
stored.FEWEST = stored.MOST = 50
from streamae.cli import main
main()
"""


def test_a_killed_run_leaves_nothing_that_looks_whole(plant: Path) -> None:
    command = [sys.executable, "-c", KILLED, "score", "plant.toml", "one.parquet", "--out", "scores.parquet"]
    running = subprocess.Popen(command, cwd=plant, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.stdin is not None and running.stdout is not None
    with running.stdin, running.stdout:
        for at in range(3):
            assert running.stdout.readline() == b"%d\n" % at
            running.stdin.write(b"\n")
            running.stdin.flush()
        assert running.stdout.readline() == b"3\n"
        assert [file.name for file in plant.glob(".scores.parquet.*.part")]
        os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (plant / "scores.parquet").exists()
    assert [file.name for file in plant.glob("*.parquet")] == ["one.parquet"]


def test_a_backtest_is_printed_and_its_facts_are_json(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.DataFrame({"series": ["pump-1"], "start": [1772323400000], "end": [1772323420000]})
    frame.to_csv("events.csv", index=False)
    command = ["backtest", "plant.toml", "one.parquet", "two.csv", "--thresholds", "0.5,1,50"]
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, *command, "--labels", "events.csv", "--html", "page.html") == 0
    printed = capsys.readouterr().out
    assert re.search(r"events found +│ 1 of 1 +│ 1 of 1 +│ 0 of 1", printed)
    assert "2 alerts as trained:" in printed and "In-sample: fit, calibrate." in printed
    assert "resolved pump-1 since 2026-03-01 00:03 to 2026-03-01 00:03" in printed
    assert Path("page.html").exists()
    assert run(monkeypatch, *command, "--html", "page.html") == 2
    capsys.readouterr()
    assert run(monkeypatch, *command, "--json", "--since", "2026-03-01", "--until", "2026-03-01T00:03:00Z") == 0
    facts = json.loads(capsys.readouterr().out)
    assert [one["alerts"] for one in facts["candidates"]] == [0, 0, 0]
    assert facts["end"] == 1772323379000
    assert "labels" not in facts["candidates"][0]


def test_a_backtest_looks_at_what_was_trained_on(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "backtest", str(world.path), "--budgets", "1,5", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["readings"] == len(world.plant.history)
    assert [one["budget"] for one in facts["candidates"]] == [None, 1, 5]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--thresholds", "0.5;2"], "--thresholds is a list of numbers like 0.5,1,2, not '0.5;2'"),
        (["--thresholds", "-1"], "thresholds: -1 is not above 0"),
        (["--since", "2027-01-01"], "no reading from --since on that is before --until"),
        (["--labels", "events.txt"], "events.txt: is neither CSV nor Parquet nor JSON"),
        (["--labels", "no.csv"], "no.csv: no column end; labels are a CSV, Parquet or JSON file with series, start"),
        (["--labels", "late.json"], "late.json: row 0 ends before it starts"),
        (["--labels", "torn.json"], "torn.json: cannot be read"),
    ],
)
def test_a_backtest_that_cannot_be_is_explained(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    (plant / "events.txt").write_text("")
    (plant / "no.csv").write_text("series,start\npump-1,1772323400000\n")
    late = [{"series": "pump-1", "start_ms": 1772323400000, "end_ms": 1772323300000}]
    (plant / "late.json").write_text(json.dumps(late))
    (plant / "torn.json").write_text('[{"series"')
    assert run(monkeypatch, "backtest", "plant.toml", "one.parquet", *arguments) in (1, 2)
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_page_holds_all_that_it_shows(tmp_path: Path) -> None:
    names = [f'<pump> & "{at}"' for at in range(PLOTS + 2)]
    frame = swinging(rows=240, series=names)
    frame.loc[frame["series"] == names[3], "channel-0"] += 30
    artifact = tiny_artifact(length=8, stride=4)
    table = files.table(frame, ["channel-0", "channel-1"])
    found = backtest(Scorer(artifact), table, usual_rules(artifact.manifest), Asked.of([1, 2]))
    write_page(tmp_path / "page.html", found)
    text, seen = self_contained(tmp_path / "page.html")
    assert "script" not in seen.tags and "pump" not in seen.tags
    plotted = [image for image in seen.images if image.startswith("Scores over time of")]
    assert len(plotted) == PLOTS and len(seen.images) == PLOTS + page.ZOOMS
    assert sum(any(f"of {name}:" in image for image in plotted) for name in names) == PLOTS
    assert any("of 26 series, those with most alerts first" in part for part in seen.text)
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text
    assert len(text) < 3_000_000


def test_no_peak_vanishes_in_a_plot() -> None:
    from streamae.history.plots import highest

    draw = np.random.default_rng(0)
    time, values = np.arange(100_000) * 1000, draw.exponential(size=100_000)
    middle, high = highest(time, values, (0, 100_000_000), 500)
    assert high.max() == values.max()
    at = int(values.argmax())
    assert abs(int(middle[high.argmax()]) - time[at]) <= 100_000
    assert np.array_equal(high, values.reshape(500, 200).max(axis=1))
    gaps = highest(np.array([0, 90]), np.array([1.0, 2.0]), (0, 100), 10)[1]
    assert np.isnan(gaps[1:9]).all()


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    artifact = tiny_artifact(length=8, stride=4)
    looked: Any = streamae.backtest(artifact, swinging(rows=60), [1])
    with pytest.raises(DataError, match="cannot be written"):
        looked.save(tmp_path / "nowhere" / "page.html")
