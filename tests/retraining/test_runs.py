"""The record of runs: nothing is dealt with twice, and nobody takes back what another has done."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamae.config.schedule import interval
from streamae.errors import RegistryError
from streamae.registry import Registry
from streamae.retraining.runs import ENDS, IDLE, KEPT, SAYS, Outcome, Record, Run, Runs
from tests.graphs import tiny_artifact

EVERY = interval(10)
TIMES = st.integers(1, 40).map(lambda number: number * 10_000)
RUNS = st.lists(st.builds(Run, scheduled_ms=TIMES, outcome=st.sampled_from(list(SAYS))), max_size=12)


def recorded(runs: list[Run], begin: int = 0) -> Record:
    record = Record(handled_ms=begin)
    for run in runs:
        record = record.having(run, EVERY)
    return record


def run(seconds: int, outcome: Outcome = "promoted", **more: str) -> Run:
    return Run(scheduled_ms=seconds * 1000, outcome=outcome, **more)  # type: ignore[arg-type]


@given(RUNS)
def test_a_time_has_one_entry_which_says_the_most_that_was_ever_said(runs: list[Run]) -> None:
    record = recorded(runs)
    times = [one.scheduled_ms for one in record.runs]
    assert times == sorted(set(times))
    said: dict[int, list[Outcome]] = {}
    for one in runs:
        said.setdefault(one.scheduled_ms, []).append(one.outcome)
    most = {time: max(outcomes, key=SAYS.__getitem__) for time, outcomes in said.items()}
    entries = {one.scheduled_ms: one.outcome for one in record.runs}
    assert {time: outcome for time, outcome in most.items() if outcome not in IDLE}.items() <= entries.items()
    assert all(SAYS[outcome] <= SAYS[most[time]] for time, outcome in entries.items())


@given(RUNS, TIMES)
def test_what_came_to_an_end_is_never_due_again(runs: list[Run], now: int) -> None:
    record = recorded(runs)
    ended = [one.scheduled_ms for at, one in enumerate(runs) if one.outcome in ENDS and not _under_way(one, runs[:at])]
    assert record.handled_ms == max(ended, default=0)
    due = record.due(EVERY, now)
    assert due == (now if now > max(ended, default=0) else None)  # TIMES are all scheduled: the newest is coalesced to
    left_over = record.left_over(EVERY, now)
    entry = record.of(left_over) if left_over else None
    assert entry is None or entry.outcome == "registered"
    assert all(record.done(time) for time in ended)


def _under_way(one: Run, before: list[Run]) -> bool:
    """Whether a time is called missed that another has a version of already: what follows from that is still due."""
    said = {other.outcome for other in before if other.scheduled_ms == one.scheduled_ms}
    return one.outcome == "missed" and "registered" in said


@given(RUNS)
def test_times_that_nothing_ran_at_are_counted_once(runs: list[Run]) -> None:
    record = recorded(runs)
    assert record.handled_ms is not None
    passed = set(range(10_000, record.handled_ms + 1, 10_000))
    ran = {one.scheduled_ms for one in runs if one.outcome != "missed"}
    assert len(passed - ran) <= record.missed <= len(passed)
    known = [one for one in runs if one.outcome == "overlapped"]
    assert record.overlapped <= len({one.scheduled_ms for one in known})


def test_many_missed_times_are_coalesced_to_the_newest_and_counted() -> None:
    record = recorded([run(10), run(100)])
    assert (record.missed, record.runs[-1].earlier) == (8, 8)
    assert recorded([run(10), run(40, "missed")]).missed == 3


def test_a_time_that_overlapped_is_not_made_up_but_may_be_run_by_another_replica() -> None:
    record = recorded([run(10), run(20, "overlapped"), run(20, "overlapped")])
    assert record.left_over(EVERY, 25_000) is None
    assert record.due(EVERY, 25_000) == 20_000
    assert record.overlapped == 1
    cut_short = recorded([run(20, "overlapped")])  # the run for 10 died with its parent
    assert cut_short.left_over(EVERY, 25_000) == 10_000


def test_only_so_many_entries_are_kept() -> None:
    record = recorded([run(10 * number) for number in range(1, KEPT + 10)])
    assert len(record.runs) == KEPT
    assert record.done(10_000)
    assert record.of(10_000) is None


def test_the_first_start_has_missed_nothing_and_the_second_one_has(tmp_path: Path) -> None:
    runs = Runs(Registry(tmp_path), "pumps", EVERY)
    assert runs.begin(25_000).left_over(EVERY, 25_000) is None
    assert runs.begin(35_000).left_over(EVERY, 35_000) == 30_000
    assert Registry(tmp_path).champion("pumps") is None
    assert Registry(tmp_path).versions("pumps") == []


def test_a_failure_names_the_version_that_it_left_behind(tmp_path: Path) -> None:
    runs = Runs(Registry(tmp_path), "tiny", EVERY)
    Registry(tmp_path).register(tiny_artifact())  # by hand
    runs.fail(10_000, "killed", 10_001, 10_002)
    assert (runs.read().runs[0].outcome, runs.read().runs[0].version) == ("failed", None)
    runs.put(run(10, version="v0002"))
    runs.fail(10_000, "the parent of another replica's child", 10_001, 10_002)
    assert (runs.read().runs[0].outcome, runs.read().runs[0].version) == ("promoted", "v0002")


@pytest.mark.parametrize("data", [b"{", b'{"runs": 7}', b"\xff", b'{"unknown": 1}'])
def test_a_damaged_record_is_named_and_what_to_do_about_it(tmp_path: Path, data: bytes) -> None:
    runs = Runs(Registry(tmp_path), "pumps", EVERY)
    runs.begin(0)
    (tmp_path / "pumps" / "retraining.json").write_bytes(data)
    for act in (runs.read, lambda: runs.put(run(10))):
        with pytest.raises(RegistryError, match=r"retraining\.json is damaged .*; remove it"):
            act()
    assert (tmp_path / "pumps" / "retraining.json").read_bytes() == data


def test_a_registry_that_is_no_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("")
    with pytest.raises(RegistryError, match=r"registry.*; the registry must be a folder"):
        Runs(Registry(tmp_path / "registry"), "pumps", EVERY).begin(0)


def test_a_record_that_cannot_be_written_stays_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(Registry(tmp_path), "pumps", EVERY)
    runs.put(run(10))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RegistryError, match="No space left on device"):
        runs.put(run(20))
    monkeypatch.undo()
    assert [one.scheduled_ms for one in runs.read().runs] == [10_000]
    assert sorted(path.name for path in (tmp_path / "pumps").iterdir()) == [".lock", "retraining.json"]
