"""The rules that hold the code together, as tests: the arrows between rooms, purity, lightness, and the tails."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "streamae"
FILES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")])


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def loaded_by(module: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after one import."""
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(out.stdout.split())


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_arrows_between_rooms_point_one_way() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_picture_in_the_readme_is_what_is_enforced() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (rule["layers"] for rule in rules if rule["id"] == "rooms")
    picture = re.search(r"<!-- rooms -->\n```\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert picture is not None
    assert picture[1].splitlines() == layers


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("detection/windows.py", "import torch", "Detection is pure"),
        ("detection/windows.py", "import torch", "Only training knows torch"),
        ("detection/scoring.py", "import time", "Detection is pure"),
        ("detection/episodes.py", "from streamae.topics import topics", "Arrows between rooms"),
        ("topics/topics.py", "import kafka", "Only streamae/topics/kafka*.py speaks to Kafka"),
        ("serving/service.py", "from kafka.errors import KafkaError", "Only streamae/topics/kafka*.py speaks to Kafka"),
        ("serving/service.py", "from streamae.training import export", "Arrows between rooms"),
        ("serving/service.py", "import pandas", "The serving image holds no torch and no pandas"),
        ("registry/registry.py", "def late():\n    import torch", "Only training knows torch"),
        ("gadgets.py", "", "Arrows between rooms"),  # a room that has no place in the picture
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, path: str, line: str, contract: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "streamae", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "streamae" / path).open("a") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    assert re.search(rf"{re.escape(contract)}.* BROKEN", result.stdout), result.stdout + result.stderr


def test_importing_streamae_is_light() -> None:
    heavy = {"torch", "kafka", "numpy", "pandas", "onnx", "onnxruntime", "pyarrow", "rich", "typer", "sqlite3"}
    assert not loaded_by("streamae") & heavy


def test_the_service_holds_no_torch() -> None:
    modules = loaded_by("streamae.serving.service")
    assert "numpy" in modules
    assert not modules & {"torch", "onnx", "onnxscript", "pandas", "pyarrow"}


def test_the_command_line_starts_without_torch_and_kafka() -> None:
    assert not loaded_by("streamae.cli") & {"torch", "kafka", "pandas", "onnx", "onnxruntime", "pyarrow"}


def impurities(source: str) -> Iterator[str]:
    """Uses of a clock, randomness or the environment that imports alone do not show."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and re.search(
            r"\b(np|numpy)\.random\b|\bdate(time)?\.(now|utcnow|today)\b|\bdatetime64$|\buuid[14]$", ast.unparse(node)
        ):
            yield ast.unparse(node)
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            yield from (name for name in names if re.match(r"numpy\.random|secrets|uuid", name))


@pytest.mark.parametrize("path", sorted((PACKAGE / "detection").glob("*.py")), ids=name_of)
def test_detection_knows_no_clock_and_no_chance(path: Path) -> None:
    assert list(impurities(path.read_text())) == []


def test_impurities_are_seen() -> None:
    for line in ("np.random.default_rng()", "datetime.now(UTC)", "from numpy.random import Generator", "import uuid"):
        assert list(impurities(line))


def test_the_environment_is_read_in_one_place() -> None:
    readers = [
        name_of(path) for path in PACKAGE.rglob("*.py") if re.search(r"\bos\.(environ|getenv)", path.read_text())
    ]
    assert readers == ["streamae/config/__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert PACKAGE not in path.parents or len(text.splitlines()) <= 250
    long = [
        f"{node.name}: {lines} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > 40
    ]
    assert long == []


def test_modules_are_named_after_what_they_hold() -> None:
    vague = {"util", "utils", "helper", "helpers", "common", "base", "manager", "factory", "handler", "misc"}
    names = {name_of(path): set(path.relative_to(ROOT).with_suffix("").parts) for path in FILES}
    assert [name for name, parts in names.items() if {word for part in parts for word in part.split("_")} & vague] == []
