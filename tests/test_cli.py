"""The command line: what it prints, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamae import cli
from streamae.errors import Fenced
from streamae.registry import Registry
from streamae.topics import open_store
from streamae.topics.topics import Output, TopicSpec
from tests.graphs import tiny_artifact, tiny_config

CONFIG = tiny_config(4, 2)
COMMANDS = ["demo", "simulate", "check", "doctor", "train", "serve", "alerts", "bench"]
MODEL_COMMANDS = ["list", "show", "promote", "rollback"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A config on disk, beside nothing."""
    path = tmp_path / "plant.toml"
    path.write_text(CONFIG)
    return str(path)


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of the program with these arguments."""
    monkeypatch.setattr(sys, "argv", ["streamae", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    "command", [*([one] for one in COMMANDS), *(["models", one] for one in MODEL_COMMANDS), ["deadletters", "list"]]
)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    shown = CliRunner().invoke(cli.app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"streamae {' '.join(command)}" in shown.output.split("Example")[1]


def test_what_runs_here_is_told_for_reports() -> None:
    told = CliRunner().invoke(cli.app, ["--version"])
    assert told.exit_code == 0
    lines = dict(line.split() for line in told.output.splitlines())
    assert lines["streamae"] == metadata.version("streamae")
    assert {"onnxruntime", "kafka-python", "Python"} <= lines.keys()


def test_check_says_what_a_service_will_do(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", config, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "reads plant.readings" in said
    assert "windows of 4 ticks" in said
    assert not (Path(config).parent / "plant.db").exists()


def test_a_wrong_config_exits_2_with_every_fault_and_its_path(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(config).write_text(CONFIG.replace("stride = 2", "strid = 2").replace('model = "tiny"', "model = 7"))
    assert run("check", config, monkeypatch=monkeypatch) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "$.windows: unknown key `strid`; did you mean `stride`?" in said
    assert "$.model: Expected `str`, got `int`" in said


def test_what_is_wrong_is_told_as_it_was_written(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(config).write_text(CONFIG.replace("embedded://plant.db", "[/red][bold]"))
    assert run("check", config, monkeypatch=monkeypatch) == 2
    assert "not '[/red][bold]'" in " ".join(capsys.readouterr().err.split())


def test_a_command_without_its_extra_names_it(
    config: str,
    forget: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    forget("streamae.training")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run("train", config, monkeypatch=monkeypatch) == 2
    assert "pip install 'streamae[train]'" in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_repaired_exits_70(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fenced(*arguments: object) -> None:
        raise Fenced("another process has joined as '0'")

    monkeypatch.setattr("streamae.serving.process.serve_until_signalled", fenced)
    assert run("serve", config, monkeypatch=monkeypatch) == 70


def test_doctor_finds_what_is_missing_and_fails(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("doctor", config, "--json", monkeypatch=monkeypatch) == 1
    found = {finding["what"]: finding["state"] for finding in json.loads(capsys.readouterr().out)}
    assert found["the topic plant.readings does not exist: create it, or correct $.topics.readings"] == "fault"
    assert any("has no champion" in what and state == "warning" for what, state in found.items())


@pytest.mark.parametrize("trained", [False, True], ids=["before any training", "with a champion"])
def test_doctor_says_what_is_wrong_with_the_mapping(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], trained: bool
) -> None:
    """Of a model that is told modes, too: nobody has to bring what is derived."""
    if trained:
        registry = Registry(Path(config).parent / "registry")
        registry.promote("tiny", registry.register(tiny_artifact(derived=["@channel-1=2"])).manifest.version, 0, "")
    records = [b'{"time": "2026-01-01T00:00:00Z", "a": 1.0}', b'{"time": 1767225600000, "a": 2.0}']
    with open_store(f"embedded://{Path(config).parent / 'plant.db'}") as store:
        store.create([TopicSpec("plant.readings", 1)])
        writer = store.writer()
        writer.write([Output("plant.readings", b"pump", value) for value in records])
        writer.close()
    assert run("doctor", config, "--json", monkeypatch=monkeypatch) == 1
    found = [finding["what"] for finding in json.loads(capsys.readouterr().out)]
    assert "of 2 sampled records 1 would be dead letters: 1 wrong_type, as: Expected `int | float | null`" in str(found)
    assert '$.time holds text: should $.readings.time_unit be "iso8601"?' in found
    assert "no sampled record has channel-1: correct their paths in $.readings.channels" in found


def test_models_are_listed_promoted_and_rolled_back(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(Path(config).parent / "registry")
    for _ in range(2):
        registry.register(tiny_artifact())
    assert run("models", "promote", config, "v0001", monkeypatch=monkeypatch) == 0
    assert run("models", "promote", config, "v0002", "--why", "better", monkeypatch=monkeypatch) == 0
    assert run("models", "rollback", config, monkeypatch=monkeypatch) == 0
    capsys.readouterr()
    assert run("models", "list", config, "--json", monkeypatch=monkeypatch) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["version"], row["champion"]) for row in rows] == [("v0001", "yes"), ("v0002", "")]
    assert run("models", "promote", config, "v0003", monkeypatch=monkeypatch) == 1
    assert "v0003" in capsys.readouterr().err


def test_alerts_of_a_service_that_never_ran(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("alerts", config, monkeypatch=monkeypatch) == 1
    assert "start `streamae serve --create-topics` first" in " ".join(capsys.readouterr().err.split())
