"""The budget keeper: how far thresholds are raised, for how long, and that nothing but event time decides it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamae.detection.episodes import EpisodePolicy, EpisodeTracker
from streamae.detection.keeper import WEEK_MS, BudgetKeeper, Raised
from tests.detection.test_episodes import PLACE, story, update

PERIOD = WEEK_MS // 2  # of a budget of two a week


def tracker(per_week: float = WEEK_MS / 40_000, fire_after: int = 1, expire_after: int = 100) -> EpisodeTracker:
    """A window a second, and an episode each 40 s: a raised threshold falls back by a half in 20 s."""
    policy = EpisodePolicy(
        fire_after=fire_after, resolve_after=1, expire_after_ms=1000 * expire_after, keep_budget=True
    )
    return EpisodeTracker(policy, PLACE, per_week=per_week)


def test_a_threshold_doubles_and_falls_back_in_half_the_time_that_the_budget_gives_an_episode() -> None:
    keeper = BudgetKeeper(2.0)
    keeper.rise("pump", 1000)
    factors = [keeper.factor("pump", 1000 + PERIOD * at // 4) for at in range(4)]
    assert factors == pytest.approx([2, 2**0.5, 1, 1])
    assert keeper.factor("valve", 1000) == 1


def test_episodes_at_twice_the_budget_keep_a_threshold_raised_and_more_of_them_raise_it_further() -> None:
    steady, pressed = BudgetKeeper(2.0), BudgetKeeper(2.0)
    for at in range(8):
        steady.rise("pump", at * PERIOD // 2)
        pressed.rise("pump", at * PERIOD // 4)
    assert steady.factor("pump", 7 * PERIOD // 2) == pytest.approx(2)
    assert pressed.factor("pump", 7 * PERIOD // 4) == pytest.approx(2 ** (1 + 7 / 2))


@given(st.lists(st.integers(0, 3 * PERIOD), max_size=30), st.integers(0, 3 * PERIOD), st.data())
def test_asking_in_between_forgetting_and_restoring_change_nothing(
    times: list[int], later: int, data: st.DataObject
) -> None:
    once, often = BudgetKeeper(2.0), BudgetKeeper(2.0)
    newest = max(times, default=0)
    for time in sorted(times):
        once.rise("pump", time)
        often.factor("pump", data.draw(st.integers(0, time)))
        often.forget(time)
        restored = BudgetKeeper(2.0)
        restored.load(msgspec.json.decode(msgspec.json.encode(often.dump()), type=list[Raised]))
        often = restored
        often.rise("pump", time)
    assert often.factor("pump", newest + later) == once.factor("pump", newest + later) >= 1


def test_thresholds_that_have_fallen_back_are_forgotten() -> None:
    keeper = BudgetKeeper(2.0)
    keeper.rise("pump", 0)
    keeper.rise("pump", 0)
    keeper.rise("valve", 0)
    keeper.forget(PERIOD * 3 // 4)
    assert [one.series for one in keeper.dump()] == ["pump"]
    keeper.forget(PERIOD)
    assert keeper.dump() == []


def test_without_a_budget_nothing_is_raised() -> None:
    keeper = BudgetKeeper(None)
    keeper.rise("pump", 0)
    assert (keeper.factor("pump", 0), keeper.dump()) == (1, [])


def test_no_number_of_episodes_overflows() -> None:
    keeper = BudgetKeeper(1e-3)
    for at in range(2000):
        keeper.rise("pump", at)
    assert keeper.factor("pump", 2000) == pytest.approx(2.0**100, rel=1e-3)


def test_what_another_hand_has_raised_in_the_far_future_does_not_overflow() -> None:
    keeper = BudgetKeeper(1.0)
    keeper.load([Raised("pump", 0.0, 2**62 - 1)])
    assert keeper.factor("pump", 0) == pytest.approx(2.0**100)


def test_the_episode_after_one_that_ended_has_to_be_higher() -> None:
    twice = ["0 firing", "1 recovered", "2 firing", "3 recovered"]
    assert story(update(tracker(), "^0^0!0")) == twice  # a score of 2 is not above almost 4
    assert story(update(tracker(), "^0^0" + 36 * "0" + "!0")) == [*twice, "40 firing", "41 recovered"]


def test_an_alert_names_the_threshold_in_force_when_its_episode_began() -> None:
    first, _, second, resolved = update(tracker(), "!0^^^0")
    assert first.threshold == 4.0
    factor = 2 ** (1 - 1 / 20)  # a second after the rise
    assert second.threshold == resolved.threshold == pytest.approx(4 * factor)
    assert second.peak.score == resolved.peak.score == pytest.approx(7 / factor)


def test_what_has_not_fired_raises_nothing() -> None:
    machine = tracker(fire_after=2)
    update(machine, "!0")
    assert machine.dump() == b"[]"


def test_an_episode_that_ends_in_silence_raises_from_its_last_window_on() -> None:
    prompt, late = tracker(expire_after=5), tracker(expire_after=5)
    for machine, noticed in ((prompt, 5_000), (late, 9_000)):
        update(machine, "!")
        machine.expire(noticed)
    assert prompt.dump() == late.dump()
    assert prompt.keeper.factor("pump", 10_000) == pytest.approx(2**0.5)


def test_withdrawing_raises_nothing() -> None:
    machine = tracker()
    update(machine, "!")
    machine.withdraw()
    assert machine.dump() == b"[]"


@pytest.mark.parametrize("cut", range(12))
def test_a_poll_may_end_anywhere(cut: int) -> None:
    drawn, whole, halves, loaded = "0!0^^0!00^0!", tracker(), tracker(), tracker()
    want = update(whole, drawn)
    found = update(halves, drawn[:cut])
    loaded.load(halves.dump())
    assert found + update(loaded, drawn[cut:], first=cut) == want
    assert loaded.dump() == whole.dump()


def test_state_that_was_written_before_there_was_a_keeper_is_taken_over() -> None:
    before, after = tracker(), tracker()
    update(before, "!")
    written = msgspec.json.decode(before.dump())
    del written[0]["factor"]
    after.load(msgspec.json.encode(written))
    assert after.dump() == before.dump()


def test_another_model_has_its_own_budget() -> None:
    machine = tracker()
    update(machine, "!0")
    machine.serve(1, WEEK_MS / 80_000)
    assert machine.keeper.factor("pump", 21_000) == pytest.approx(2**0.5)


def test_what_settles_counts_from_the_raised_threshold_too() -> None:
    assert story(update(tracker(), "^0^0^s"))[-1] == "5 recovered"  # a settled score of 2 is not above almost 4
    assert story(update(tracker(), "^s"))[-1] == "0 firing"


def test_a_raised_threshold_is_held_until_no_window_can_end_under_it() -> None:
    machine = tracker(expire_after=5)
    update(machine, "!0")
    held = machine.dump()
    machine.expire(21_000 + 4_999)  # a series may trail its partition
    assert machine.dump() == held
    machine.expire(21_000 + 5_000)
    assert machine.dump() == b"[]"
