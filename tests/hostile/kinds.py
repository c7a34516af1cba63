"""Every kind of hostile record, with its fate."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from streamae.detection.readings import Reason
from tests.hostile.records import LATE, Good, Kind
from tests.serving.stand import at

DEEP = 100_000
HUGE = 900_000
RARE = 1  # of kinds of which each record is large


def _always(value: bytes | None) -> Callable[[Good, Random], bytes | None]:
    return lambda *_: value


def _with(**parts: str) -> Callable[[Good, Random], bytes]:
    return lambda good, _: good.json(**parts)


def _inner(value: str) -> Callable[[Good, Random], bytes]:
    return lambda good, _: b'{"time": %d, "inner": %b}' % (at(good.tick), value.encode())


def _cut(good: Good, random: Random) -> bytes:
    whole = good.json()
    return whole[: random.randint(1, len(whole) - 1)]


def _bytes(_: Good, random: Random) -> bytes:
    return b"\x00" + random.randbytes(random.randint(0, 80))


def _flipped(good: Good, random: Random) -> bytes:
    """A control character at a place where JSON allows none."""
    whole = good.json()
    place = random.choice([place for place, byte in enumerate(whole) if byte in b"{}:,"])
    return whole[:place] + bytes([random.randint(1, 8)]) + whole[place:]


def _exponent(number: float | None) -> str:
    """The same number, which is a whole one of sixteenths, with digits and an exponent."""
    return "null" if number is None else f"{round(number * 10**4)}E-00004"


def _large_key(good: Good, _: Random) -> bytes:
    return good.key + b"k" * 100_000


UNDECODABLE = [
    Kind("cut off", Reason.UNDECODABLE, _cut),
    Kind("no value", Reason.UNDECODABLE, _always(None)),
    Kind("no key and no value", Reason.UNDECODABLE, _always(None), key=_always(None)),
    Kind("empty", Reason.UNDECODABLE, _always(b"")),
    Kind("binary", Reason.UNDECODABLE, _bytes),
    Kind("control characters in between", Reason.UNDECODABLE, _flipped),
    Kind("text", Reason.UNDECODABLE, _always(b"temperature=41.5")),
    Kind("XML", Reason.UNDECODABLE, _always(b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "&a;">]><r>&a;</r>')),
    Kind("two in one", Reason.UNDECODABLE, lambda good, _: good.json() + b"\n" + good.json()),
    Kind("a comma too many", Reason.UNDECODABLE, _with(rest=",")),
    Kind("single quotes", Reason.UNDECODABLE, lambda good, _: good.json().replace(b'"', b"'")),
    Kind("a comment", Reason.UNDECODABLE, lambda good, _: b"/* */" + good.json()),
    Kind("a byte order mark", Reason.UNDECODABLE, lambda good, _: b"\xef\xbb\xbf" + good.json()),
    Kind("a byte order mark and NaN", Reason.UNDECODABLE, lambda good, _: b"\xef\xbb\xbf" + good.json(a="NaN")),
    Kind("UTF-16", Reason.UNDECODABLE, lambda good, _: good.json().decode().encode("utf-16")),
    Kind("no UTF-8", Reason.UNDECODABLE, lambda good, _: b"\xff\xfe" + good.json()),
    Kind("half a surrogate pair as a key", Reason.UNDECODABLE, lambda good, _: b'{"\\ud800": 1, ' + good.json()[1:]),
    Kind("nan", Reason.UNDECODABLE, _with(a="nan")),
    Kind("a plus sign", Reason.UNDECODABLE, _with(a="+1")),
    Kind("hexadecimal", Reason.UNDECODABLE, _with(a="0x10")),
    Kind("a zero before a number", Reason.UNDECODABLE, _with(a="007")),
    Kind("brackets without end", Reason.UNDECODABLE, _with(rest=', "x": ' + "[{" * 100), strict=Reason.UNKNOWN_CHANNEL),
    Kind(
        "deep nesting",
        Reason.UNDECODABLE,
        _with(rest=', "x": ' + "[" * DEEP + "]" * DEEP),
        strict=Reason.UNKNOWN_CHANNEL,
        weight=RARE,
    ),
    Kind(
        "deep nesting and NaN",
        Reason.UNDECODABLE,
        _with(b="NaN", rest=', "x": ' + "[" * DEEP + "]" * DEEP),
        strict=Reason.UNDECODABLE,
        weight=RARE,
    ),
    Kind("large and nothing", Reason.UNDECODABLE, lambda _, random: b"\x00" + random.randbytes(HUGE), weight=RARE),
]

PLACES = ("time", "a", "b")
WRONG = ('"41.5"', '""', "true", "false", "[]", "[1]", "{}", '{"a": 1}', '"NaN"', '"null"')
WRONG_TYPES = [
    *(
        Kind(f"{value} as {place}", Reason.WRONG_TYPE, _with(**{place: value}), weight=10)
        for place in PLACES
        for value in WRONG
    ),
    *(
        Kind(f"{value} alone", Reason.WRONG_TYPE, _always(value.encode()), weight=20)
        for value in ("null", *WRONG)
        if value[0] != "{"
    ),
    *(
        Kind(
            f"{value} instead of an object",
            Reason.WRONG_TYPE,
            _inner(value),
            weight=20,
        )
        for value in ("1", '"b"', "true", "[]", '[{"b": 1}]')
    ),
    Kind("a list of readings", Reason.WRONG_TYPE, lambda good, _: b"[" + good.json() + b"]"),
    Kind("10**400 as a whole number", Reason.WRONG_TYPE, _with(a="9" * 400)),
    Kind("5,000 digits of time", Reason.WRONG_TYPE, _with(time="9" * 5000), weight=10),
    Kind("a wrong type, doubled by a right one", Reason.WRONG_TYPE, lambda good, _: b'{"a": "x", ' + good.json()[1:]),
]

NO_SERIES = [
    Kind(f"the key {key!r:.20}", Reason.NO_SERIES, _with(), key=_always(key))
    for key in (None, b"", b"\xff\xfe", b"pump-\xed\xa0\x80", b"pump-" + b"k" * 1000, b"\xc0\x80")
]
NO_SERIES.append(Kind("a key of 100 kB", Reason.NO_SERIES, _with(), key=_large_key, weight=RARE))

TIMES = [
    "null",
    "-1",
    "-0.001",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "253402300800000",
]
TIMES += ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "1e99999999999", "9" * 400]
NO_TIME = [
    Kind("no time at all", Reason.NO_TIME, lambda good, _: b'{"a": %b}' % json.dumps(good.a).encode()),
    *(Kind(f"the time {time:.20}", Reason.NO_TIME, _with(time=time), weight=30) for time in TIMES),
]

INFINITE = [
    Kind(f"{value} as {place}", Reason.INFINITE, _with(**{place: value}), weight=30)
    for place in ("a", "b")
    for value in ("Infinity", "-Infinity", "1e400", "-1e400", "3.5e38", "1e99999999999", "9" * 300)
]

OTHERS = [
    Kind(
        "ahead", Reason.AHEAD, lambda good, random: good.json(time=str(at(good.tick) + random.randint(600_001, 10**12)))
    ),
    Kind("late", Reason.LATE, lambda good, random: good.json(time=str(at(good.tick - random.randint(LATE, 1500))))),
    Kind("of another series", "skipped", _with(), key=_always(b"valve-1")),
    Kind("of another series, without a time", "skipped", _always(b"{}"), key=_always(b"PUMP-1")),
    Kind("silence", "silence", _with(a="null", b="null")),
    Kind("silence by absence", "silence", lambda good, _: b'{"time": %d}' % at(good.tick)),
    Kind("silence by NaN", "silence", _with(a="NaN", b="NaN")),
    Kind("silence of a whole object", "silence", lambda good, _: b'{"time": %d, "inner": null}' % at(good.tick)),
]

UNKNOWN = Reason.UNKNOWN_CHANNEL
EXTRA = ", " + ", ".join(f'"x{number}": {number}' for number in range(5_000))
DRESSED = [
    Kind("plain", "reading", _with(), weight=2000),
    Kind("white space", "reading", lambda good, _: good.json().replace(b" ", b" \t\r\n")),
    Kind(
        "keys in escapes",
        "reading",
        lambda good, _: good.json().replace(b'"a"', b'"\\u0061"').replace(b'"time"', b'"t\\u0069me"'),
    ),
    Kind("doubled keys", "reading", lambda good, _: b'{"a": 99, "time": 5, "inner": {"b": 1}, ' + good.json()[1:]),
    Kind("exponents", "reading", lambda good, _: good.json(a=_exponent(good.a), b=_exponent(good.b))),
    Kind("a time with a fraction", "reading", lambda good, _: good.json(time=f"{at(good.tick)}.25")),
    Kind("two dozen zeros", "reading", lambda good, _: good.json(time=f"{at(good.tick)}.{'0' * 24}")),
    Kind(
        "headers", "reading", _with(), headers=(("reason", b"late"), ("reason", None), ("", b"\xff"), ("h" * 300, b""))
    ),
    Kind(
        "a thousand headers",
        "reading",
        _with(),
        headers=tuple((f"h{number}", None) for number in range(1000)),
        weight=RARE,
    ),
    Kind("900 kB of white space", "reading", lambda good, _: b" " * HUGE + good.json(), weight=RARE),
    Kind("an unknown channel", "reading", _with(rest=', "noise": 1e400'), strict=UNKNOWN),
    Kind("an unknown channel within", "reading", lambda good, _: good.json()[:-2] + b', "c": [1]}}', strict=UNKNOWN),
    Kind(
        "no UTF-8 in what is not read",
        "reading",
        lambda good, _: good.json()[:-1] + b', "x": "\xff\xfe"}',
        strict=UNKNOWN,
    ),
    Kind(
        "numbers too long in what is not read", "reading", _with(rest=f', "x": {"9" * 5000}'), strict=UNKNOWN, weight=10
    ),
    Kind("thousands of keys", "reading", _with(rest=EXTRA), strict=UNKNOWN, weight=RARE),
    Kind("a long text that is not read", "reading", _with(rest=f', "x": "{"y" * HUGE}"'), strict=UNKNOWN, weight=RARE),
    Kind("a key of 900 kB", "reading", _with(rest=f', "{"y" * HUGE}": 1'), strict=UNKNOWN, weight=RARE),
]

HOSTILE = [*UNDECODABLE, *WRONG_TYPES, *NO_SERIES, *NO_TIME, *INFINITE, *OTHERS]
