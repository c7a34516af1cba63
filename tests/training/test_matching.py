"""Alerts against labelled events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamae.training.matching import Alerted, Event, match, per_series_week

FAULT = Event("p", 100, 200)


def alert(start: int, end: int | None, known: int | None = None, series: str = "p") -> Alerted:
    return Alerted(series, start, end, start if known is None else known)


@pytest.mark.parametrize(
    ("one", "true"),
    [
        (alert(120, 130), True),
        (alert(50, 100), True),
        (alert(50, 99), False),
        (alert(50, None), True),
        (alert(219, 300), True),
        (alert(220, 300), False),
        (alert(120, 130, series="q"), False),
    ],
)
def test_an_alert_is_true_where_it_touches_an_event(one: Alerted, true: bool) -> None:
    result = match([one], [FAULT], slack_ms=20)
    assert result.found == true
    assert result.false == (() if true else (one,))


def test_the_first_alert_that_could_be_read_gives_the_delay() -> None:
    result = match([alert(110, 120, known=180), alert(150, 160, known=165)], [FAULT])
    assert result.events[0].delay == 65
    assert match([alert(40, 160, known=60)], [FAULT]).events[0].delay == 0


def test_one_alert_may_find_two_events_and_two_alerts_one() -> None:
    both = match([alert(150, 350)], [FAULT, Event("p", 300, 400)])
    assert both.found == 2
    twice = match([alert(110, 120), alert(150, 160)], [FAULT])
    assert (twice.found, twice.false) == (1, ())


def test_a_missed_event_has_neither_alert_nor_delay() -> None:
    assert match([], [FAULT]).events[0][1:] == (None, None)


times = st.tuples(st.sampled_from("pq"), st.integers(0, 50), st.integers(0, 20))


@given(st.lists(times), st.lists(times), st.integers(0, 5))
def test_every_alert_is_true_or_false_and_order_does_not_matter(
    alerts: list[tuple[str, int, int]], events: list[tuple[str, int, int]], slack: int
) -> None:
    said = [Alerted(name, start, start + more, start + more) for name, start, more in alerts]
    happened = [Event(name, start, start + more) for name, start, more in events]
    one, other = match(said, happened, slack), match(said[::-1], happened, slack)
    assert [found.delay for found in one.events] == [found.delay for found in other.events]
    assert sorted(one.false) == sorted(other.false)
    assert all(found.alert not in one.false for found in one.events)
    assert not happened or bool(one.found) == (len(one.false) < len(said))


def test_rates() -> None:
    assert per_series_week(6, 3, 604_800_000) == 2
