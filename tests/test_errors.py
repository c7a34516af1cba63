"""How errors and notes say things."""

from __future__ import annotations

from streamae.errors import some


def test_of_many_names_the_first_are_said_and_the_others_counted() -> None:
    assert some(["a", "b", "c", "d", "e"], 3) == "a, b, c and 2 more"
    assert some(["a", "b", "c"], 3) == "a, b, c"
