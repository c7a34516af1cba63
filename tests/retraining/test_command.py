"""`streamae retrain` and `streamae models runs`: what they print, and their exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamae import cli
from tests.retraining import quick
from tests.retraining.quick import Plant

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    monkeypatch.setattr("streamae.training.job.train", quick.train)
    return Plant(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["streamae", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("command", [["retrain"], ["models", "runs"]])
def test_there_is_help_with_an_example(command: list[str]) -> None:
    shown = CliRunner().invoke(cli.app, [*command, "--help"])
    assert f"streamae {' '.join(command)} plant/streamae.toml" in shown.output.split("Example")[1]
    assert "--with-parent" not in shown.output


def test_once_prints_both_side_by_side_and_runs_lists_them(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    config = str(plant.path)
    assert run(monkeypatch, "retrain", config, "--once") == 0
    assert "tiny v0001: promoted, first version" in capsys.readouterr().out
    assert run(monkeypatch, "retrain", config, "--once") == 0
    shown = capsys.readouterr().out
    assert "champion v0001" in shown
    assert "injected: shift" in shown
    assert run(monkeypatch, "retrain", config, "--once", "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "promoted"
    assert run(monkeypatch, "models", "runs", config, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["version"] for one in record["runs"]] == ["v0001", "v0002", "v0003"]
    assert record["runs"][1]["evidence"]["champion"]["version"] == "v0001"
    assert run(monkeypatch, "models", "runs", config) == 0
    assert "missed 0, overlapped 0" in capsys.readouterr().out


def test_the_lock_taken_by_another_it_says_so_and_fails(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    with plant.registry.training("tiny", lambda: None):
        assert run(monkeypatch, "retrain", str(plant.path), "--once") == 1
    assert "another process is training tiny now; nothing was done" in " ".join(capsys.readouterr().err.split())
    assert plant.scheduled() == []


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--once", "--for", "2999-01-01"], "--for names a time that is still to come"),
        (["--once", "--for", "soon"], "give a time like 2026-11-01T00:00:00Z"),
        (["--for", "2026-01-01"], "--for names the time of one run: give --once, too"),
        ([], "$.retraining: give cron or every_s, or run once"),
    ],
)
def test_wrong_usage_exits_2_before_anything_starts(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: Captured, arguments: list[str], fault: str
) -> None:
    assert run(monkeypatch, "retrain", str(plant.path), *arguments) == 2
    said = "".join(line.strip("│ ") + " " for line in capsys.readouterr().err.splitlines())
    assert fault in " ".join(said.split())
    assert not (plant.folder / "registry").exists()


@pytest.mark.parametrize("command", ["check", "retrain"])
def test_a_schedule_that_never_fires_is_found_by_check_and_by_retrain(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: Captured, command: str
) -> None:
    plant.write(retraining={"cron": "0 0 31 2 *"})
    assert run(monkeypatch, command, str(plant.path)) == 2
    assert "$.retraining: cron = '0 0 31 2 *' never happens" in " ".join(capsys.readouterr().err.split())


def test_a_damaged_record_stops_it_at_the_start(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    plant.write(retraining={"every_s": 60})
    (plant.folder / "registry/tiny").mkdir(parents=True)
    (plant.folder / "registry/tiny/retraining.json").write_text("{")
    for arguments in (["retrain", str(plant.path)], ["models", "runs", str(plant.path)]):
        assert run(monkeypatch, *arguments) == 1
        assert "retraining.json is damaged" in " ".join(capsys.readouterr().err.split())


def test_a_failed_run_exits_1_with_its_reason(plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    (plant.folder / "history.parquet").write_bytes(b"no parquet")
    assert run(monkeypatch, "retrain", str(plant.path), "--once") == 1
    assert "history.parquet: cannot be read" in " ".join(capsys.readouterr().err.split())
    assert plant.record.runs[0].outcome == "failed"
