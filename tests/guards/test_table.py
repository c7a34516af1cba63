"""The table of guards is up to date: each guard is where it is said to be, and each test that holds it exists.

That the tests fail without the guards takes `make guards`.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards.guard import Guard
from tests.guards.table import GUARDS
from tests.guards.trial import ROOT


def test_every_guard_can_be_taken_out_and_what_is_left_is_python(tmp_path: Path) -> None:
    for number, guard in enumerate(GUARDS):
        (tmp_path / str(number) / guard.file).parent.mkdir(parents=True)
        shutil.copy(ROOT / guard.file, tmp_path / str(number) / guard.file)
        guard.remove(tmp_path / str(number))
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F821,F823", str(tmp_path)]
    names = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert names.returncode == 0, names.stdout


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.against)
def test_every_test_that_holds_a_guard_exists(guard: Guard) -> None:
    for test in guard.tests:
        file, _, name = test.partition("::")
        defined = {node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)}
        assert name.partition("[")[0] in defined, test


def test_no_fault_is_in_the_table_twice() -> None:
    assert len({guard.against for guard in GUARDS}) == len(GUARDS)
