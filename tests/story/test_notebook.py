"""The notebook story of the docs, cell by cell, as it is written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

STORY = Path(__file__).parents[2] / "docs" / "notebook.md"
PATIENCE_S = 120.0


def cells() -> list[tuple[str, str]]:
    """The story's cells in order: language and code."""
    return re.findall(r"```(python|sh)\n(.*?)```", STORY.read_text(), re.DOTALL)


def shell(line: str) -> str:
    """What a command prints; it must end well."""
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shell_until_it_prints(line: str) -> str:
    """The same, again and again until it has something to say: a service takes its time to start."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout:
            return done.stdout
    raise AssertionError(f"{line} had nothing to say in {PATIENCE_S:g} s")


def evaluated(code: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does: the value of its last line is what it shows."""
    *before, last = re.split(r"\n(?=\S)", code.strip())
    exec("\n".join(before), names)
    try:
        return eval(last, names)
    except SyntaxError:
        exec(last, names)
        return None


def test_the_story_of_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    names: dict[str, Any] = {}
    shown: list[Any] = []
    try:
        for language, code in cells():
            if language == "python":
                shown.append(evaluated(code, names))
            else:
                for line in code.strip().splitlines():
                    say = shell_until_it_prints if line.startswith("streamae alerts") else shell
                    shown.append(say(line))
    finally:
        if "service" in names:
            names["service"].kill()
            names["service"].wait()

    scores, hot = names["scores"], names["hot"]
    assert scores["score"][hot].max() > 1.2
    assert (scores["score"][~hot] > 1).mean() < 0.02
    means = scores.loc[hot].filter(like="error_").mean()
    assert means.idxmax() == "error_temperature"
    assert names["kept"].manifest.version == "v0001"
    found = names["tried"].candidates
    assert (found["found"] == 1).all()
    assert any("firing" in text for text in shown if isinstance(text, str))
    assert names["service"].returncode == 0
