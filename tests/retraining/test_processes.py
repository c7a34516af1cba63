"""`streamae retrain` as processes: replicas, crashes at the worst moment, and machines that are full."""

from __future__ import annotations

import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamae.retraining.runs import Record, Run
from tests.retraining.quick import Plant, Retrain, gone, now_ms, once
from tests.serving.stand import wait_for

STUCK = """
import os, threading
def stuck(*_, **__):
    from pathlib import Path
    Path("{folder}/stuck").write_text(str(os.getpid()))
    threading.Event().wait()
job.train = stuck
"""
OUT_OF_MEMORY = """
import os, signal
from streamae.registry import registry
whole = registry._publish
def killed(folder, version, files):
    (folder / ".new-half").mkdir()
    registry.write(folder / ".new-half" / "model.onnx", b"")
    os.kill(os.getpid(), signal.SIGKILL)
registry._publish = killed
"""

DAY_MS = 86_400_000  # a schedule that no test is long enough to meet twice
Start = Callable[..., Retrain]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path, {"retraining": {"every_s": 2.0}})


@pytest.fixture
def start(plant: Plant) -> Iterator[Start]:
    """Starts processes; none outlives the test."""
    started: list[Retrain] = []

    def start(name: str = "a", prelude: str = "") -> Retrain:
        started.append(Retrain(plant, name, prelude.replace("{folder}", str(plant.folder))))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait(10)
        wait_for(lambda: is_stuck(plant) is False or gone(stuck_child(plant)))


def is_stuck(plant: Plant) -> bool:
    """Whether a child is in the middle of its training, and has said its number."""
    said = plant.folder / "stuck"
    return said.exists() and bool(said.read_text())


def stuck_child(plant: Plant) -> int:
    """The number of the child that is in the middle of its training."""
    return int((plant.folder / "stuck").read_text())


def results(record: Record) -> list[Run]:
    return [run for run in record.runs if run.outcome in ("promoted", "kept")]


def ready(plant: Plant) -> bool:
    return (plant.folder / "registry/tiny/retraining.json").exists()


def test_two_replicas_register_one_version_for_each_scheduled_time(plant: Plant, start: Start) -> None:
    replicas = [start("a"), start("b")]
    wait_for(lambda: ready(plant) and len(results(plant.record)) >= 3, 90)
    assert [one.stop() for one in replicas] == [0, 0]
    record, scheduled = plant.record, plant.scheduled()
    assert max(Counter(scheduled).values()) == 1
    assert {run.scheduled_ms for run in results(record)} <= set(scheduled)
    assert len(scheduled) - len(results(record)) <= 1  # the last one may have been stopped before it was recorded
    assert all(time % 2000 == 0 for time in scheduled)
    assert not [run for run in record.runs if run.outcome == "failed"], record.runs
    assert {"a", "b"} == {
        name
        for name in "ab"
        if "training tiny for" in (plant.folder / f"retrain-{name}.log").read_text()
        or "dealt with already" in (plant.folder / f"retrain-{name}.log").read_text()
    }


def test_a_child_ends_with_its_parent_however_that_ends(plant: Plant, start: Start) -> None:
    parent = start(prelude=STUCK)
    wait_for(lambda: is_stuck(plant), 40)
    parent.kill()
    wait_for(lambda: gone(stuck_child(plant)), 10)
    assert not [run for run in plant.record.runs if run.outcome != "overlapped"]
    assert plant.scheduled() == []


def test_told_to_stop_it_ends_its_child_and_the_time_is_made_up_at_the_next_start(plant: Plant, start: Start) -> None:
    parent = start(prelude=STUCK)
    wait_for(lambda: is_stuck(plant), 40)
    child = stuck_child(plant)
    assert parent.stop() == 0
    assert gone(child)
    assert [run.outcome for run in plant.record.runs if run.outcome != "overlapped"] == []
    (plant.folder / "stuck").unlink()
    again = start("again")
    wait_for(lambda: bool(results(plant.record)), 40)
    assert again.stop() == 0
    assert "passed" in again.said()
    assert "making up for it" in again.said()


def test_a_child_that_is_killed_leaves_nothing_half_made_and_is_recorded(plant: Plant, start: Start) -> None:
    parent = start(prelude=OUT_OF_MEMORY)
    wait_for(lambda: ready(plant) and any(run.outcome == "failed" for run in plant.record.runs), 40)
    parent.stop()
    failed = next(run for run in plant.record.runs if run.outcome == "failed")
    assert failed.why == "the run was ended by SIGKILL, as it is where there is too little memory"
    assert failed.version is None
    assert plant.scheduled() == []
    assert plant.left_aside() == [".new-half"]
    assert once(plant).returncode == 0
    assert (len(plant.scheduled()), plant.left_aside()) == (1, [])


def test_while_a_run_goes_on_the_times_that_pass_are_recorded_as_overlapped(plant: Plant, start: Start) -> None:
    parent = start(prelude=STUCK)
    wait_for(lambda: ready(plant) and plant.record.overlapped >= 2, 40)
    assert "was still going on" in parent.said()
    assert {run.outcome for run in plant.record.runs} == {"overlapped"}


@pytest.mark.parametrize("missed", ["run", "skip"])
def test_a_time_that_passes_while_nothing_runs_is_made_up_once_or_skipped(
    plant: Plant, start: Start, missed: str
) -> None:
    plant.write(retraining={"every_s": 2.0, "grace_s": 1, "missed": missed})
    parent = start(prelude=STUCK)
    wait_for(lambda: is_stuck(plant), 40)
    parent.kill()
    killed_ms = now_ms()
    (plant.folder / "stuck").unlink()
    plant.write(retraining={"every_s": DAY_MS / 1000, "grace_s": 1, "missed": missed})
    handled = plant.record.handled_ms
    assert handled is not None
    plant.registry.rewrite("tiny", "retraining.json", lambda _: b'{"handled_ms": %d}' % (handled - 2 * DAY_MS))
    again = start("again")
    if missed == "run":
        wait_for(lambda: bool(results(plant.record)), 40)
        (run,) = plant.record.runs
        assert run.scheduled_ms == plant.scheduled()[0]
        assert run.scheduled_ms in (killed_ms // DAY_MS * DAY_MS, now_ms() // DAY_MS * DAY_MS)
        assert run.earlier >= 1
    else:
        wait_for(lambda: bool(plant.record.runs), 40)
        (run,) = plant.record.runs
        assert run.outcome == "missed"
        assert "more than grace_s" in run.why
        assert plant.scheduled() == []
    assert plant.record.missed >= 1
    assert again.stop() == 0


def test_a_machine_that_slept_over_a_scheduled_time_missed_it(plant: Plant, start: Start) -> None:
    plant.write(retraining={"every_s": 4.0, "grace_s": 1, "missed": "skip"})
    parent = start(prelude=STUCK)
    wait_for(lambda: "is next trained at" in parent.said(), 40)
    due = (now_ms() // 4000 + 1) * 4000
    parent.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: now_ms() > due + 2000)
    parent.process.send_signal(signal.SIGCONT)
    wait_for(lambda: plant.record.missed >= 1)
    assert plant.record.of(due) is not None
    assert "was missed" in parent.said()


def test_a_registry_on_a_full_disk_says_so_and_keeps_nothing_half_made(plant: Plant) -> None:
    assert once(plant).returncode == 0

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    refused = once(plant, before=full)
    assert refused.returncode == 1
    assert "the registry must be a folder that this process may read, and write" in " ".join(refused.stderr.split())
    assert len(plant.scheduled()) == 1
    assert plant.record.runs[-1].outcome == "failed"
    assert plant.record.runs[-1].why in " ".join(refused.stderr.split())
    assert once(plant).returncode == 0
    assert (len(plant.scheduled()), plant.left_aside()) == (2, [])
