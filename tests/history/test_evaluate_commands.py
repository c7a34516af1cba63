"""`streamae evaluate`: what it prints, the page that it writes, and how it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from streamae import cli
from streamae.history import evaluate_page
from streamae.history.evaluate import evaluate
from streamae.history.evaluate_page import LONG, write_page
from streamae.registry import Registry
from streamae.training import files
from tests.graphs import tiny_artifact
from tests.history.conftest import END_MS, World
from tests.history.pages import Page, self_contained
from tests.history.tables import swinging
from tests.history.test_commands import CONFIG, run
from tests.history.test_evaluate import CALM, CHANNELS, HOT, LEARNT, asked, at, event, model


def csv(file: Path, labels: Sequence[tuple[str, int, int]]) -> None:
    pd.DataFrame(labels, columns=["series", "start", "end"]).to_csv(file, index=False)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config, a champion that has learnt from the first 180 s, its files, and labels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "plant.toml").write_text(f'{CONFIG}[training]\nfiles = ["history.parquet"]\n')
    registry = Registry(tmp_path / "registry")
    version = registry.register(model()).manifest.version
    registry.promote("tiny", version, 0, "for the test")
    frame = swinging(rows=400)
    frame.to_parquet(tmp_path / "history.parquet")
    csv(tmp_path / "events.csv", [HOT, CALM, LEARNT])
    return tmp_path


def test_it_has_help_with_an_example() -> None:
    shown = CliRunner().invoke(cli.app, ["evaluate", "--help"])
    assert shown.exit_code == 0
    assert "streamae evaluate" in shown.output.split("Example")[1]


def test_the_model_stands_beside_its_baselines(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "plant.toml", "--labels", "events.csv", "--baselines", "sigma", "--html", "page.html"]
    assert run(monkeypatch, *command) == 0
    printed = capsys.readouterr().out
    assert "In-sample: fit, calibrate." in printed
    assert "Out of sample, which alone counts: 2 of 3 labelled events" in printed
    assert "1 of 3 labelled events lie in fit and calibrate, which the model has learnt from" in printed
    assert re.search(r"┃ v0001 \(tiny\) +┃ sigma", printed)
    assert re.search(r"precision +│ 0\.5 +│ 0\.5 ", printed)
    assert re.search(r"events found +│ 1 of 2 +│ 1 of 2 ", printed)
    assert re.search(r"median delay +│ [\d.]+ s +│ 0 s ", printed)
    assert re.search(r"VUS-PR, settled +│ 0\.\d+ +│ - ", printed)
    assert "VUS-PR: the mean over 2 series with a reading in a labelled event" in printed
    assert "1 missed events:\npump-2 2026-03-01 00:05 to 2026-03-01 00:05: highest score 0." in printed
    assert "1 false episodes:\nresolved pump-2 since 2026-03-01 00:03" in printed
    assert printed.endswith("page.html: the same with plots\n") and "\x1b" not in printed
    text = Path("page.html").read_text()
    assert run(monkeypatch, *command) == 2
    assert "--html page.html is there already" in capsys.readouterr().err
    assert run(monkeypatch, *command, "--force") == 0
    assert Path("page.html").read_text() == text


def test_its_facts_are_json(plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "plant.toml", "history.parquet", "--labels", "events.csv", "--no-baselines", "--json"]
    assert run(monkeypatch, *command) == 0
    facts = json.loads(capsys.readouterr().out)
    (own,) = facts["figures"]
    assert (own["name"], own["true"], own["false"], own["found"], own["events"]) == ("v0001", 1, 1, 1, 2)
    assert 0 < own["vus_pr"] < 1 and 0 < own["vus_pr_settled"] < 1
    assert [one["found"] for one in facts["events"]] == [True, False]
    assert [one["series"] for one in facts["false"]] == ["pump-2"]
    assert facts["counted"]["events_in_sample"] == 1


def test_another_version_is_evaluated_by_name(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = tiny_artifact(length=8, stride=4, threshold=1e6)
    Registry(plant / "registry").register(silent)
    command = ["evaluate", "plant.toml", "--labels", "events.csv", "--no-baselines", "--json", "--version", "v0002"]
    assert run(monkeypatch, *command) == 0
    facts = json.loads(capsys.readouterr().out)
    (own,) = facts["figures"]
    assert (facts["version"], own["alerts"], own["precision"], own["events"]) == ("v0002", 0, None, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--labels", "nowhere.csv"], 1, "nowhere.csv: cannot be read"),
        (["--labels", "torn.json"], 1, "torn.json: cannot be read"),
        (["--labels", "none.csv"], 1, "there is no event in them"),
        (["--labels", "late.csv"], 1, "none of 1 events, 2026-03-01T01:23:20Z to"),
        (["--labels", "strange.csv"], 1, "of series pump-9, and the readings are of pump-1, pump-2"),
        (["--labels", "learnt.csv"], 1, "everything is in-sample: all 1 events lie in fit (2026"),
        (["--labels", "events.csv", "--baselines", "knn"], 2, "--baselines: there is no baseline 'knn'; known: pca"),
        (["--labels", "events.csv", "--baselines", "pca", "--no-baselines"], 2, "give one of them"),
        (["--labels", "events.csv", "--version", "v0009"], 1, "v0009"),
        (["empty.parquet", "--labels", "events.csv"], 1, "empty.parquet: no file holds readings"),
        (["nothing-*.csv", "--labels", "events.csv"], 1, "no file matches nothing-*.csv"),
        (["--labels", "events.csv", "--html", "."], 2, "--html . is a folder"),
        ([], 2, "Missing option '--labels'"),
    ],
)
def test_what_cannot_be_evaluated_is_explained(
    plant: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    (plant / "torn.json").write_text('[{"series"')
    (plant / "none.csv").write_text("series,start,end\n")
    csv(plant / "late.csv", [event("pump-1", 5000, 5100)])
    csv(plant / "strange.csv", [event("pump-9", 200, 220)])
    csv(plant / "learnt.csv", [LEARNT])
    swinging().iloc[:0].to_parquet(plant / "empty.parquet")
    assert run(monkeypatch, "evaluate", "plant.toml", *arguments) == code
    assert says in " ".join(capsys.readouterr().err.split())


def test_baselines_need_the_files_that_the_model_was_trained_on(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = swinging(rows=400)
    frame.to_parquet(plant / "all.parquet")
    frame[frame["time"] >= frame["time"].iloc[150]].to_parquet(plant / "history.parquet")
    command = ["evaluate", "plant.toml", "all.parquet", "--labels", "events.csv"]
    assert run(monkeypatch, *command) == 1
    assert "baselines are trained on what the model was trained on" in capsys.readouterr().err
    assert run(monkeypatch, *command, "--no-baselines") == 0


def test_a_plant_is_evaluated_beside_a_baseline_that_is_trained(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = str(world.folder / "faults.json")
    command = ["evaluate", str(world.path), *world.files, "--labels", faults, "--baselines", "kmeans,pca,sigma"]
    assert run(monkeypatch, *command, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in facts["figures"]] == ["v0001", "kmeans", "sigma"]
    assert any("the model is itself pca" in note for note in facts["notes"])
    assert {one["events"] for one in facts["figures"]} == {len(world.plant.faults)}
    assert all(one["found"] > 0 and 0 < one["vus_pr"] < 1 for one in facts["figures"])
    assert facts["counted"]["series_weeks"] == pytest.approx(3 * (8 * 0.15 + 4) / 7, rel=0.02)
    assert facts["end"] < END_MS


def test_a_page_looks_at_all_that_was_missed_and_false(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f'<pump> & "{at}"' for at in range(5)]
    frame = swinging(rows=1500, series=names)
    calm = [event(name, 1000, 1000 + (LONG + 9) * 8) for name in names[:4]]
    found = evaluate(model(), asked(calm, files.table(frame, CHANNELS)), lambda stage: lambda handled: None)
    assert len(found.false) == 5 and len(found.missed) == 4
    write_page(tmp_path / "page.html", found)
    text, seen = self_contained(tmp_path / "page.html")
    assert "script" not in seen.tags and "pump" not in seen.tags
    assert len([image for image in seen.images if image.startswith("Scores around Missed event")]) == 4
    assert len([image for image in seen.images if image.startswith("Scores around False episode")]) == 5
    assert len([image for image in seen.images if "channel-1" in image and image.startswith("Channels ")]) == 9
    assert {"Missed events: 4", "False episodes: 5"} <= set(seen.text)
    assert sum("; channels only around its highest score" in part for part in seen.text) == 4
    assert "unlabelled time in alert" in seen.text
    assert len(text) < 2_000_000
    monkeypatch.setattr(evaluate_page, "MOST", 2)
    short = Page()
    short.feed(evaluate_page.body(found))
    assert {"Missed events: the first 2 of 4", "False episodes: the first 2 of 5"} <= set(short.text)
    assert len(short.images) == 8


def test_labels_are_marked_where_they_are() -> None:
    found = evaluate(model(), asked([HOT, CALM]), lambda stage: lambda handled: None)
    plotter = evaluate_page.Plotter(found)
    marks = plotter.marks("pump-2", (at(280), at(340)))
    assert (list(marks.episodes), list(marks.labels)) == ([], [(CALM.start, CALM.end)])
    assert [name for name, _, _ in marks.spans] == ["fit", "calibrate"]
    near = plotter.marks("pump-2", (at(150), at(250)), spans=False)
    assert (len(list(near.episodes)), near.labels, near.spans) == (1, [], [])
    assert np.isfinite([time for pair in near.episodes for time in pair]).all()
