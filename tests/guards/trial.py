"""A trial: tests that run in a copy of the tree, and what became of each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
LIMIT_S = 120  # of one test
OUR_MISTAKES = ("NameError", "UnboundLocalError", "SyntaxError", "ImportError", "ModuleNotFoundError")


class Result(NamedTuple):
    """What became of a test, and its first word on why."""

    became: Literal["passed", "failed", "hung", "did not run"]
    why: str = ""


def trial(tests: Sequence[str], change: Callable[[Path], None], environment: Mapping[str, str]) -> dict[str, Result]:
    """Run tests, by their node ids, in a copy of all that git tracks, once it is changed."""
    with tempfile.TemporaryDirectory(prefix="streamae-guards-") as folder:
        tree = Path(folder) / "tree"
        _copy(tree)
        change(tree)
        return run(tests, tree, environment)


def run(tests: Sequence[str], tree: Path, environment: Mapping[str, str]) -> dict[str, Result]:
    """Run tests of a tree, and say what became of each."""
    report = tree / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", f"--timeout={LIMIT_S}", f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    patience_s = LIMIT_S * (2 + len(tests))  # a wait that cannot be interrupted outlives the limit of its test
    said = _said(command, tree, {**environment, "PYTHONPATH": str(tree)}, patience_s)
    if said is None:
        return dict.fromkeys(tests, Result("hung", f"no end within {patience_s} s"))
    if not report.exists():
        return dict.fromkeys(tests, Result("did not run", said.strip().rpartition("\n")[2]))
    cases = list(ElementTree.parse(report).iter("testcase"))
    return {test: _result(test, cases) for test in tests}


def _copy(tree: Path) -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)


def _said(command: list[str], folder: Path, environment: Mapping[str, str], patience_s: float) -> str | None:
    """What a command said; None where it did not end. Nothing that it started outlives it."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=patience_s)[0]
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _result(test: str, cases: Sequence[ElementTree.Element]) -> Result:
    """The worst that became of a test's cases."""
    file, name = test.split("::")
    place = file.removesuffix(".py").replace("/", ".")
    own = [case for case in cases if case.get("classname") == place]
    results = [_of(case) for case in own if case.get("name", "") == name or case.get("name", "").startswith(f"{name}[")]
    if not results:
        return Result("did not run")
    order = ("did not run", "failed", "hung", "passed")
    return min(results, key=lambda result: order.index(result.became))


def _of(case: ElementTree.Element) -> Result:
    for found in case:
        why = (found.get("message") or "").splitlines()[0] if found.get("message") else ""
        if found.tag == "skipped" or "failed on setup" in why or why.startswith(OUR_MISTAKES):
            return Result("did not run", why)
        if found.tag in ("failure", "error"):
            return Result("hung" if "from pytest-timeout" in why else "failed", why)
    return Result("passed")
