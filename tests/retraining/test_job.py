"""One run: its steps, and what becomes of it when it is cut short at any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streamae.errors import DataError, RegistryError
from streamae.registry import Registry
from streamae.retraining.job import Job
from streamae.retraining.runs import Run, Runs
from tests.graphs import tiny_artifact
from tests.retraining import quick
from tests.retraining.quick import Plant

T1, T2 = 1_800_000_000_000, 1_800_000_060_000


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code under test catches it."""


@dataclass
class Watched:
    """Calls of the steps that change something, in order; the process dies before or after one of them."""

    at: int | None = None
    after: bool = False
    calls: list[str] = field(default_factory=list)

    def wrap(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            here = len(self.calls) - 1 == self.at
            if here and not self.after:
                raise Killed
            result = step(*arguments, **named)
            if here:
                raise Killed
            return result

        return wrapped


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    monkeypatch.setattr("streamae.training.job.train", quick.train)
    return Plant(tmp_path)


def run(plant: Plant, scheduled: int, wait: bool = False) -> Run:
    return Job(plant.config, scheduled, lambda: T2 + 5000).run(wait)


def watch(monkeypatch: pytest.MonkeyPatch, watched: Watched) -> None:
    monkeypatch.setattr("streamae.training.job.train", watched.wrap("train", quick.train))
    monkeypatch.setattr(Registry, "register", watched.wrap("register", Registry.register))
    monkeypatch.setattr(Registry, "promote", watched.wrap("promote", Registry.promote))
    monkeypatch.setattr(Runs, "put", watched.wrap("put", Runs.put))


STEPS = ["train", "register", "put", "promote", "put"]


def test_the_steps_of_a_run(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(plant, T1).why == "first version"
    watched = Watched()
    watch(monkeypatch, watched)
    assert run(plant, T2).outcome == "promoted"
    assert watched.calls == STEPS
    assert plant.scheduled() == [T1, T2]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(STEPS)), ids=lambda at: f"{at}-{STEPS[at]}")
def test_cut_short_at_any_step_the_rest_is_done_and_nothing_doubled(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    run(plant, T1)
    with monkeypatch.context() as patched:
        watch(patched, Watched(at, after))
        with pytest.raises(Killed):
            run(plant, T2)
    ended = run(plant, T2)
    assert (ended.outcome, ended.version) == ("promoted", "v0002")
    assert plant.scheduled() == [T1, T2]
    assert [(one.scheduled_ms, one.outcome, one.version) for one in plant.record.runs] == [
        (T1, "promoted", "v0001"),
        (T2, "promoted", "v0002"),
    ]
    assert [one.version for one in plant.registry.promotions("tiny")] == ["v0001", "v0002"]
    assert plant.record.handled_ms == T2
    if (at, after) >= (2, True):  # from here on the evidence was there, and is not worked out again
        assert plant.record.runs[-1].evidence is not None


def test_the_first_run_cut_short_after_promotion_is_not_promoted_twice(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        watch(patched, Watched(2, after=True))  # train, register, promote
        with pytest.raises(Killed):
            run(plant, T1)
    assert plant.registry.champion("tiny") == "v0001"
    assert run(plant, T1).outcome == "promoted"
    assert len(plant.registry.promotions("tiny")) == 1


def test_promoted_and_rolled_back_before_it_was_recorded_it_stays_rolled_back(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(plant, T1)
    with monkeypatch.context() as patched:
        watch(patched, Watched(3, after=True))
        with pytest.raises(Killed):
            run(plant, T2)
    plant.registry.rollback("tiny", T2, "alert storm")
    assert run(plant, T2).outcome == "promoted"
    assert plant.registry.champion("tiny") == "v0001"


def test_judged_against_a_champion_that_is_one_no_more_it_is_judged_again(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scheduled in (T1 - 1000, T1):
        run(plant, scheduled)
    with monkeypatch.context() as patched:
        watch(patched, Watched(3))  # before the promotion
        with pytest.raises(Killed):
            run(plant, T2)
    plant.registry.rollback("tiny", T2, "by hand")
    evidence = run(plant, T2).evidence
    assert evidence is not None
    assert evidence.champion.version == "v0001"


def test_a_time_dealt_with_is_not_done_again(plant: Plant) -> None:
    run(plant, T2)
    assert run(plant, T2).version == "v0001"
    assert run(plant, T1).outcome == "missed"  # a later time was run for
    assert plant.scheduled() == [T2]


def test_a_failure_is_recorded_and_not_tried_again(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object, **__: object) -> None:
        raise DataError("the readings cover 3 ticks")

    with monkeypatch.context() as patched:
        patched.setattr("streamae.training.job.train", short)
        with pytest.raises(DataError):
            run(plant, T1)
    (failed,) = plant.record.runs
    assert (failed.outcome, failed.why) == ("failed", "the readings cover 3 ticks")
    assert run(plant, T1) == failed
    assert plant.scheduled() == []
    assert run(plant, T2).outcome == "promoted"


def test_what_is_no_error_of_ours_is_recorded_by_its_name(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_: object, **__: object) -> None:
        raise MemoryError("cannot allocate 9 TiB")

    monkeypatch.setattr("streamae.training.job.train", hungry)
    with pytest.raises(MemoryError):
        run(plant, T1)
    assert plant.record.runs[0].why == "MemoryError: cannot allocate 9 TiB"


def test_without_a_judge_span_it_is_kept_and_says_how_to_promote_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(plant, T1)
    monkeypatch.setattr("streamae.training.job.train", lambda config, *_, **__: tiny_artifact(name=config.model))
    kept = run(plant, T2)
    assert kept.outcome == "kept"
    assert "there is no judge span" in kept.why
    assert "`streamae models promote CONFIG v0002`" in kept.why
    assert plant.registry.champion("tiny") == "v0001"


def test_a_damaged_version_is_passed_over(plant: Plant) -> None:
    run(plant, T1)
    plant.registry.register(tiny_artifact())
    (plant.folder / "registry/tiny/v0002/model.onnx").unlink()
    assert run(plant, T2).version == "v0003"


def test_who_does_not_wait_is_told_that_another_trains(plant: Plant) -> None:
    def never() -> None:
        raise AssertionError

    with (
        plant.registry.training("tiny", never),
        pytest.raises(RegistryError, match="another process is training tiny now; nothing was done"),
    ):
        run(plant, T1)
    assert run(plant, T1).outcome == "promoted"
