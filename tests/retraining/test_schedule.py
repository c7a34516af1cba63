"""Scheduled times: the same for all who ask, never twice, never without end."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamae.config import parse
from streamae.config.schedule import Schedule, cron, interval
from streamae.errors import ConfigError
from tests.test_config import GOOD

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata"]
CRONS = ["0 3 * * *", "30 2 * * *", "*/30 * * * *", "15,45 1-3 * * *", "0 0 1 * *", "20 4 * * 0", "0 2 * 3,10 sat-sun"]
YEARS = st.integers(1_700_000_000_000, 1_900_000_000_000)
SCHEDULES = st.one_of(
    st.integers(1, 400_000).map(lambda seconds: interval(seconds / 4 + 1)),
    st.builds(cron, st.sampled_from(CRONS), st.sampled_from(ZONES)),
)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def times(schedule: Schedule, start: str, count: int) -> list[str]:
    moment, found = ms(start), list[str]()
    for _ in range(count):
        moment = schedule.after(moment)
        found.append(datetime.fromtimestamp(moment / 1000, UTC).strftime("%m-%d %H:%M"))
    return found


@given(SCHEDULES, YEARS, st.integers(0, 10**9))
def test_what_comes_next_is_later_and_nothing_lies_between(schedule: Schedule, moment: int, further: int) -> None:
    following = schedule.after(moment)
    assert following > moment
    between = moment + further % (following - moment)
    assert schedule.after(between) == following


@given(SCHEDULES, YEARS, st.integers(0, 3 * 86_400_000))
def test_the_newest_is_the_last_of_those_that_follow_one_another(schedule: Schedule, since: int, span: int) -> None:
    until, moment, found = since + span, since, list[int]()
    while (moment := schedule.after(moment)) <= until and len(found) < 400:
        found.append(moment)
    if moment > until:
        assert schedule.newest(since, until) == (found[-1] if found else None)
        assert schedule.count(since, until) == len(found)
    else:
        newest = schedule.newest(since, until)
        assert newest is not None
        assert newest <= until < schedule.after(newest)


@given(st.integers(1, 10**6).map(lambda quarters: 1 + quarters / 4), YEARS)
def test_an_interval_is_counted_from_the_epoch(every_s: float, moment: int) -> None:
    assert interval(every_s).after(moment) % round(every_s * 1000) == 0


def test_a_clock_put_back_fires_once_and_goes_on() -> None:
    daily = cron("30 2 * * *", "Europe/Berlin")
    assert times(daily, "2026-10-24T12:00Z", 3) == ["10-25 00:30", "10-26 01:30", "10-27 01:30"]
    often = cron("*/30 * * * *", "Europe/Berlin")
    assert times(often, "2026-10-25T00:15Z", 3) == ["10-25 00:30", "10-25 02:00", "10-25 02:30"]
    assert times(often, "2026-10-25T01:15Z", 1) == ["10-25 02:00"]  # asked in the hour that repeats


def test_what_falls_into_a_gap_of_the_clock_is_due_at_its_end() -> None:
    daily = cron("30 2 * * *", "Europe/Berlin")
    assert times(daily, "2026-03-28T12:00Z", 2) == ["03-29 01:00", "03-30 00:30"]
    often = cron("*/30 * * * *", "Europe/Berlin")
    assert times(often, "2026-03-29T00:15Z", 3) == ["03-29 00:30", "03-29 01:00", "03-29 01:30"]


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("1", "Mon"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("fri-mon", "Mon Fri Sat Sun"),
        ("5-7", "Fri Sat Sun"),
        ("*/3", "Wed Sat Sun"),
        ("sun,3", "Wed Sun"),
        ("2/2", "Tue Thu Sat"),
    ],
)
def test_weekdays_are_those_of_crontab(field: str, days: str) -> None:
    schedule, moment, found = cron(f"0 0 * * {field}"), ms("2026-03-01T12:00Z"), list[str]()  # a Sunday
    while (moment := schedule.after(moment)) <= ms("2026-03-08T12:00Z"):
        found.append(datetime.fromtimestamp(moment / 1000, UTC).strftime("%a"))
    assert " ".join(found) == days


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('cron = "0 0 31 2 *"', "never happens"),
        ('cron = "61 * * * *"', "cron = '61 [*] [*] [*] [*]': "),
        ('cron = "nightly"', "has 1 fields, not minute, hour, day, month and weekday"),
        ('cron = "0 0 * * 9"', "'9' is no weekday: sun to sat, or 0 to 7"),
        ('cron = "0 0 * * 1/0"', "'1/0' has no step of at least 1"),
        ('cron = "0 0 1 * mon"', "names days and weekdays"),
        ('cron = "0 3 * * *"\nevery_s = 60', "cron and every_s are both given"),
        ('cron = "0 3 * * *"\ntimezone = "Mars/Olympus"', "timezone = 'Mars/Olympus' is none that is known here"),
        ('cron = "0 3 * * *"\ntimezone = "../../etc"', "timezone = '../../etc' is none that is known here"),
        ("every_s = 0.5", "Expected `float` >= 1"),
        ("grace_s = 0", "Expected `int` >= 1"),
        ('missed = "twice"', "Invalid enum value 'twice'"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_before_anything_starts(lines: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=rf"^\$\.retraining.*: .*{fault}") as caught:
        parse(f"{GOOD}[retraining]\n{lines}\n")
    assert len(str(caught.value).splitlines()) == 1


FIELD = st.text("0123456789*/,-fri ", max_size=5)


@given(st.lists(FIELD, min_size=4, max_size=6).map(" ".join))
def test_any_text_is_a_schedule_or_a_fault_that_names_it(text: str) -> None:
    try:
        schedule = cron(text)
    except ValueError as error:
        assert re.match(r"cron = ", str(error)), error
    else:
        assert schedule.after(0) > 0


def test_without_a_schedule_none_is_asked_for() -> None:
    assert parse(GOOD).retraining.schedule() is None
    every = parse(f"{GOOD}[retraining]\nevery_s = 1.5\n").retraining.schedule()
    assert every is not None
    assert every.after(0) == 1500
