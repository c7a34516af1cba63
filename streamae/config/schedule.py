"""Schedule: the times at which something is to happen, as arithmetic over ms since the epoch. It knows no clock.

All who ask get the same times: an interval is counted from the epoch, and a cron expression is read on the wall clock
of its time zone. Where that clock is put forward, what falls into the gap is due when the gap ends; where it is put
back, the first of two equal times counts. (APScheduler's own cron trigger is only asked in UTC: on a zone's clock,
3.11 goes back an hour in the hour that repeats, and would fire without end.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
MINUTE_MS = 60_000
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True)
class Schedule:
    """Scheduled times, by what comes next: `after(t)` is the first scheduled time later than `t`."""

    after: Callable[[int], int]

    def newest(self, since: int, until: int) -> int | None:
        """The last scheduled time in (since, until]; None where there is none."""
        back = MINUTE_MS
        while since < until:
            start = max(since, until - back)  # what is before it has no bearing where something is after it
            found = self.after(start)
            if found <= until:
                while (later := self.after(found)) <= until:
                    found = later
                return found
            if start == since:
                break
            back *= 2
        return None

    def count(self, since: int, until: int, most: int = 1000) -> int:
        """How many scheduled times there are in (since, until], counted up to `most`."""
        found, moment = 0, since
        while found < most and (moment := self.after(moment)) <= until:
            found += 1
        return found


def interval(every_s: float) -> Schedule:
    """Every so many seconds, from the epoch on."""
    every = round(every_s * 1000)
    return Schedule(lambda moment: (moment // every + 1) * every)


def cron(text: str, timezone: str = "UTC") -> Schedule:
    """Minute, hour, day, month and weekday, as crontab has them. Raises ValueError for what can never happen."""
    from apscheduler.triggers.cron import CronTrigger

    zone = _zone(timezone)
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"cron = {text!r} has {len(fields)} fields, not minute, hour, day, month and weekday")
    if fields[2] != "*" and fields[4] != "*":
        raise ValueError(f"cron = {text!r} names days and weekdays, which programs read in two ways; name one of them")
    try:
        trigger = CronTrigger.from_crontab(" ".join([*fields[:4], _weekdays(fields[4])]), UTC)
    except ValueError as error:
        raise ValueError(f"cron = {text!r}: {error}") from error
    if trigger.get_next_fire_time(None, EPOCH) is None:
        raise ValueError(f"cron = {text!r} never happens")

    def after(moment: int) -> int:
        wall = (EPOCH + moment * MS).astimezone(zone).replace(tzinfo=UTC)
        while True:
            wall = trigger.get_next_fire_time(None, wall + MS)
            found = _instant(wall.replace(tzinfo=None), zone)
            if found > moment:
                return found

    return Schedule(after)


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"timezone = {name!r} is none that is known here; give one like Europe/Berlin") from error


def _instant(wall: datetime, zone: tzinfo) -> int:
    """When a clock in this zone shows `wall` (without a zone), for the first time; or first shows more than it."""
    early, late = (_ms(wall.replace(tzinfo=zone, fold=fold)) for fold in (1, 0))
    if _shows(late, zone) == wall:
        return late
    while late - early > 1:  # in a gap, which ends between the two
        middle = (early + late) // 2
        early, late = (early, middle) if _shows(middle, zone) > wall else (middle, late)
    return late


def _shows(moment: int, zone: tzinfo) -> datetime:
    return (EPOCH + moment * MS).astimezone(zone).replace(tzinfo=None)


def _ms(time: datetime) -> int:
    return (time.astimezone(UTC) - EPOCH) // MS


def _weekdays(field: str) -> str:
    """Weekdays by name: crontab counts from Sunday, which is 0 and 7, and APScheduler from Monday."""
    if field == "*":
        return field
    found = set()
    for part in field.lower().split(","):
        days, slash, step = part.partition("/")
        first, dash, last = ("0", "-", "6") if days == "*" else days.partition("-")
        low = _weekday(first)
        high = _weekday(last) if dash else 6 if slash else low
        if slash and not (step.isdecimal() and int(step)):
            raise ValueError(f"{part!r} has no step of at least 1")
        found |= {day % 7 for day in range(low, high + 1 if high >= low else high + 8, int(step or 1))}
    return ",".join(DAYS[day] for day in sorted(found))


def _weekday(text: str) -> int:
    if text in DAYS:
        return DAYS.index(text)
    if text.isdecimal() and int(text) <= 7:
        return int(text)
    raise ValueError(f"{text!r} is no weekday: sun to sat, or 0 to 7")
