"""Bounds: what would fill the memory or the dead letters without end is held back, and nothing of it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamae.serving import holds
from streamae.topics.topics import Output
from tests.serving.outcome import Outcome
from tests.serving.stand import CALM, HOT, Stand, wait_for

TICKS = 40


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    """A stand with two partitions, in one file."""
    made = Stand(f"embedded://{tmp_path / 'topics.db'}", "plant", tmp_path, partitions=2)
    made.champion()
    return made


def pumps(count: int, first: int = 0, ticks: int = TICKS) -> list[tuple[str, int, float | None]]:
    """Pumps that all run at the same time; each overheats once."""
    names = [f"pump-{first + number}" for number in range(count)]
    return [(name, tick, HOT if 20 <= tick < 28 else CALM) for tick in range(ticks) for name in names]


def test_a_full_table_holds_its_partition_and_a_larger_one_goes_on_where_it_stopped(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.changes = {"serving": {"most_series": 4}}
    stand.publish(pumps(4), 0)
    stand.publish(pumps(5, first=10), 0)
    stand.publish(pumps(3, first=20), 1)
    with stand.running() as service:
        wait_for(lambda: service().committed == {0: 4 * TICKS, 1: 3 * TICKS})
        wait_for(lambda: "[0]@160 is held: 4 series have readings in open windows: raise $.serving" in caplog.text)
        assert service().health()["partitions"]["held"] == 1
    stand.changes = {"serving": {"most_series": 9}}
    with stand.running() as service:
        wait_for(lambda: service().committed.get(0) == 9 * TICKS)
    undisturbed = stand.twin(changes={})
    undisturbed.serve_all()
    assert Outcome.of(stand).equals(Outcome.of(undisturbed))
    assert len(stand.alerts()) == 24
    undisturbed.close()
    stand.close()


def test_series_that_come_and_go_need_room_for_those_at_hand_only(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.changes = {"serving": {"most_series": 2}}
    for number in range(30):  # each is there for ten ticks, and the last but one is forgotten after a minute
        stand.publish([(f"pump-{number}", 40 * number + tick, CALM) for tick in range(10)], 0)
    stand.serve_all()
    assert "held" not in caplog.text
    stand.close()


@pytest.mark.parametrize(("share", "held"), [(0.95, True), (1.0, False)])
def test_a_flood_of_dead_letters_is_slowed_and_all_are_kept(
    stand: Stand, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, share: float, held: bool
) -> None:
    monkeypatch.setattr(holds, "HOLD_S", 0.2)
    stand.changes = {"serving": {"flood": share}}
    stand.write([Output(stand.config.topics.readings, b"pump", b"no JSON", 0)] * 3_000)
    stand.publish(pumps(1), 0)
    stand.serve_all()
    assert ("100% of the records are no readings (undecodable: " in caplog.text) is held
    assert "correct $.readings" in caplog.text or not held
    assert len(stand.read("deadletters")) == 3_000
    assert len(stand.alerts()) == 2
    stand.close()


def test_late_readings_are_no_flood(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.publish([("pump", 10_000, CALM)], 0)
    stand.publish([("pump", tick, CALM) for tick in range(3_000)], 0)
    stand.serve_all()
    assert len(stand.read("deadletters")) == 3_000
    assert "held" not in caplog.text
    stand.close()
