"""The study of alert budgets: how alerts become episodes, and that a family takes no part in the choice for it."""

from __future__ import annotations

from streamae.training.matching import Alerted
from tests.accuracy.budget import chosen, left_out, tables
from tests.accuracy.choices import CHOICES, Choice, Seen, joined

ONE, OTHER = CHOICES[0], CHOICES[-1]


def seen(kept: int, found: int) -> Seen:
    return Seen(series=10, in_budget=kept, rows=1000, normal=900, false=3, events=10, found=found)


def family(one: Seen, other: Seen) -> dict[Choice, Seen]:
    return {**dict.fromkeys(CHOICES, Seen(series=10, events=10)), ONE: one, OTHER: other}


def test_alerts_near_each_other_are_one_episode() -> None:
    alerts = [Alerted("a", start, end, start) for start, end in ((50, None), (0, 10), (12, 20), (24, 30))]
    assert joined(alerts, near=3, end=90) == [(0, 20), (24, 30), (50, 90)]


def test_enough_in_budget_comes_first_and_then_what_is_found() -> None:
    assert chosen({"x": family(seen(8, 9), seen(9, 3))}) == OTHER
    assert chosen({"x": family(seen(9, 4), seen(10, 3))}) == ONE


def test_a_family_is_judged_under_the_choice_of_the_others() -> None:
    found = {"x": family(seen(10, 9), seen(10, 1)), "y": family(seen(10, 1), seen(10, 9))}
    others = left_out(found)
    assert {name: (choice, own.found) for name, (choice, own) in others.items()} == {"x": (OTHER, 1), "y": (ONE, 1)}
    *_, last = tables(found)
    assert last.row_count == 3
