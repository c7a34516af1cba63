"""A trial tells a test that failed by itself from one that waited, or that never came to its point."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards import trial

TESTS = """
import threading
import pytest

@pytest.fixture
def broken():
    raise OSError("nothing to test with")

@pytest.fixture
def untidy():
    yield
    raise AssertionError("a thread is left")

def test_passes(): pass
def test_fails(): assert 1 == 2
def test_leaves_something(untidy): pass
def test_waits(): threading.Event().wait()
def test_was_never_set_up(broken): pass
def test_names_what_is_not_there(): unknown
def test_is_skipped(): pytest.skip("no broker")
@pytest.mark.parametrize("case", [1, 2])
def test_fails_in_one_case(case): assert case == 1
"""
BECAME = {
    "passes": "passed",
    "fails": "failed",
    "leaves_something": "failed",
    "waits": "hung",
    "was_never_set_up": "did not run",
    "names_what_is_not_there": "did not run",
    "is_skipped": "did not run",
    "fails_in_one_case": "failed",
    "fails_in_one_case[1]": "passed",
}


def test_what_became_of_each_test_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LIMIT_S", 5)
    (tmp_path / "test_all.py").write_text(TESTS)
    results = trial.run([f"test_all.py::test_{name}" for name in BECAME], tmp_path, {})
    assert {test.partition("test_all.py::test_")[2]: result.became for test, result in results.items()} == BECAME
    assert results["test_all.py::test_fails"].why == "assert 1 == 2"


def test_a_file_that_cannot_be_imported_runs_no_test(tmp_path: Path) -> None:
    (tmp_path / "test_all.py").write_text("import nothing_of_the_kind\n\ndef test_fails(): assert False\n")
    (result,) = trial.run(["test_all.py::test_fails"], tmp_path, {}).values()
    assert result.became == "did not run"
