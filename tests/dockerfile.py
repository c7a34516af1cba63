"""A Dockerfile's first stage, done in a folder instead of an image, with uv in pip's place.

What it cannot show: the base image, its users and its network. COPY goes through `.dockerignore`, RUN through bash.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

UV = str(Path(sys.executable).with_name("uv"))
PYTHON_IMAGE = "python:3.11-slim"


class Instruction(NamedTuple):
    """One instruction: its word, and what follows."""

    word: str
    rest: str


def parse(path: Path) -> list[list[Instruction]]:
    """The stages of a Dockerfile, each a list of instructions."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: list[list[Instruction]] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append(Instruction(word, " ".join(rest.split())))
    return stages


def exec_form(stage: list[Instruction], word: str) -> list[str]:
    """The command of ENTRYPOINT, CMD or HEALTHCHECK, which must not go through a shell."""
    (rest,) = (each.rest for each in stage if each.word == word)
    found: list[str] = json.loads(rest[rest.index("[") :])
    return found


class Replay:
    """The first stage of a Dockerfile below `root`, from the repository at `context`."""

    def __init__(self, context: Path, root: Path) -> None:
        self.context = context
        self.root = root
        self._folder = root
        self._arguments: dict[str, str] = {}

    def run(self, stage: list[Instruction]) -> None:
        """Every instruction in turn."""
        for word, rest in stage:
            if word == "ARG":
                name, _, value = rest.partition("=")
                self._arguments[name] = value.strip('"')
            elif word == "WORKDIR":
                self._folder = self.root / rest.lstrip("/")
                self._folder.mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                self._copy(*rest.split())
            elif word == "RUN":
                self._shell(rest)
            else:
                assert word in ("FROM", "ENV"), f"{word} cannot be replayed"

    def _copy(self, *places: str) -> None:
        *sources, target = places
        for source in sources:
            assert self._let_through(source), f".dockerignore keeps {source} out"
            path, into = self.context / source, self._folder / target
            if path.is_dir():
                shutil.copytree(path, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, into)

    def _let_through(self, source: str) -> bool:
        """The last pattern that matches decides."""
        kept = True
        for line in (self.context / ".dockerignore").read_text().splitlines():
            pattern = line.strip()
            if pattern and not pattern.startswith("#") and fnmatch.fnmatch(source, pattern.lstrip("!")):
                kept = pattern.startswith("!")
        return kept

    def _shell(self, command: str) -> None:
        venv = self.root / "opt/streamae"
        for old, new in {
            "python -m venv /opt/streamae": f"{UV} venv -q --python {sys.executable} {venv}",
            "/opt/streamae/bin/pip install --no-cache-dir": f"{UV} pip install -q --python {venv}",
            "/opt/streamae/bin/pip uninstall --yes": f"{UV} pip uninstall -q --python {venv}",
            "pip wheel --no-cache-dir --no-deps --wheel-dir /wheels": f"{UV} build -q --wheel -o {self.root}/wheels",
            " /wheels/": f" {self.root}/wheels/",
        }.items():
            command = command.replace(old, new)
        assert "/opt/streamae/bin" not in command and "pip wheel" not in command, f"not replayed: {command}"
        environment = {**os.environ, **self._arguments}
        subprocess.run(["bash", "-euc", command], cwd=self._folder, env=environment, check=True, timeout=600)
