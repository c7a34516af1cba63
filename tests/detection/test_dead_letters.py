"""Every reason for which a record is set aside, one by one; and what is no reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamae.detection.json_records import JsonDecoder
from streamae.detection.manifest import Channel
from streamae.detection.readings import DeadLetter, Decoded, Mapping, Reason, RecordColumns, parse_path

CHANNELS = (Channel(name="temperature"), Channel(name="flow"))
WIDE: dict[str, Any] = {"channels": {"temperature": "$.temp", "flow": "$.inner.flow"}}
TALL: dict[str, Any] = {"layout": "tall", "channels": {"temperature": "temp", "flow": "7"}, "channel": "$.tag"}
NAMED: dict[str, Any] = {**WIDE, "series_from": "$.name"}
ISO: dict[str, Any] = {**WIDE, "time_unit": "iso8601"}
STRICT: dict[str, Any] = {**WIDE, "strict": True}


def decode(mapping: dict[str, Any], value: bytes | None, key: bytes | None = b"pump-1", stamp: int = -1) -> Decoded:
    one = RecordColumns(np.array([5]), np.array([stamp]), [key], [value])
    return JsonDecoder(Mapping(**mapping), CHANNELS).decode(one)


def dead(mapping: dict[str, Any], value: bytes | None, key: bytes | None = b"pump-1", stamp: int = -1) -> DeadLetter:
    decoded = decode(mapping, value, key, stamp)
    assert (len(decoded.readings), decoded.skipped) == (0, 0)
    (letter,) = decoded.dead
    assert letter.offset == 5
    assert letter.detail.encode()  # goes out as text
    return letter


@pytest.mark.parametrize(
    "value",
    [
        None,  # a tombstone
        b"",
        b"{",
        b"temp=41",
        b'{"time": 1} {"time": 2}',
        b'\xff{"time": 1}',
        b'\xef\xbb\xbf{"time": 1}',
        b'\xef\xbb\xbf{"time": 1, "temp": NaN}',
        b'{"time": 1, "temp": nan}',
        b'{"time": 1, "temp": NaN',
        b'{"time": 1, "other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"time": 1, "temp": NaN, "other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_undecodable(value: bytes | None) -> None:
    assert dead(WIDE, value).reason == Reason.UNDECODABLE


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (b"[]", "object"),
        (b"null", "object"),
        (b'{"time": 1, "temp": "41"}', "$.temp"),
        (b'{"time": 1, "temp": true}', "$.temp"),
        (b'{"time": 1, "temp": NaN, "inner": {"flow": []}}', "$.inner.flow"),
        (b'{"time": 1, "inner": 3}', "$.inner"),
        (b'{"time": "1"}', "$.time"),
        (b'{"time": true, "temp": NaN}', "$.time"),
    ],
)
def test_wrong_type(value: bytes, where: str) -> None:
    letter = dead(WIDE, value)
    assert letter.reason == Reason.WRONG_TYPE
    assert where in letter.detail


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe", b"x" * 1001])
def test_no_series_in_the_key(key: bytes | None) -> None:
    assert dead(WIDE, b'{"time": 1}', key=key).reason == Reason.NO_SERIES


@pytest.mark.parametrize("name", [b'""', b"null", b'"' + b"x" * 1001 + b'"', b'"\\ud800", "temp": NaN'])
def test_no_series_in_the_record(name: bytes) -> None:
    assert dead(NAMED, b'{"time": 1, "name": ' + name + b"}").reason == Reason.NO_SERIES


@pytest.mark.parametrize("time", [b"null", b"-1", b"-0.5", b"1e300", b"NaN", b"Infinity", b"1e999", b"9" * 400])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_no_time(time: bytes, unit: str) -> None:
    assert dead({**WIDE, "time_unit": unit}, b'{"time": ' + time + b"}").reason == Reason.NO_TIME


@pytest.mark.parametrize("time", ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_no_time_in_the_calendar(time: str) -> None:
    assert dead(ISO, b'{"time": "%s"}' % time.encode()).reason == Reason.NO_TIME


@pytest.mark.parametrize("value", [b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e300", b"3.5e38"])
def test_infinite(value: bytes) -> None:
    assert dead(WIDE, b'{"time": 1, "temp": ' + value + b"}").reason == Reason.INFINITE


@pytest.mark.parametrize("value", [b'{"time": 1, "noise": 3}', b'{"time": 1, "inner": {"flow": 1, "x": NaN}}'])
def test_unknown_channel(value: bytes) -> None:
    assert dead(STRICT, value).reason == Reason.UNKNOWN_CHANNEL
    assert len(decode(WIDE, value).readings) == 1


def test_what_is_said_about_a_dead_letter_is_short() -> None:
    letter = dead(STRICT, b'{"time": 1, "%b": 3}' % (b"x" * 900_000))
    assert letter.detail.startswith("Object contains unknown field `xxx")
    assert len(letter.detail) == 300


@pytest.mark.parametrize("tag", [b'"noise"', b"null", b"8"])
def test_unknown_tag(tag: bytes) -> None:
    value = b'{"time": 1, "value": 3, "tag": ' + tag + b"}"
    assert dead({**TALL, "strict": True}, value).reason == Reason.UNKNOWN_CHANNEL
    assert decode(TALL, value).skipped == 1


def test_ahead() -> None:
    mapping = {**WIDE, "max_ahead_ms": 500}
    assert dead(mapping, b'{"time": 1501}', stamp=1000).reason == Reason.AHEAD
    assert len(decode(mapping, b'{"time": 1500}', stamp=1000).readings) == 1
    assert len(decode(mapping, b'{"time": 1501}').readings) == 1  # a record without a timestamp


@pytest.mark.parametrize(
    ("value", "temperature", "flow"),
    [
        (b'{"time": 1, "temp": 41}', 41.0, None),
        (b'{"time": 1, "temp": NaN, "inner": {"flow": 2}}', None, 2.0),
        (b'{"time": 1, "temp": null, "inner": null}', None, None),
        (b'{"time": 1}', None, None),
        (b'{"time": 1, "temp": 1, "temp": 2}', 2.0, None),  # of equal keys the last one counts
        (b'{"time": 1, "other": {"deep": [1, {}]}, "inner": {"flow": 1e-50}}', None, 0.0),
    ],
)
def test_null_absent_and_nan_are_silence(value: bytes, temperature: float | None, flow: float | None) -> None:
    values = decode(WIDE, value).readings.values[0]
    assert [None if np.isnan(each) else each for each in values] == [temperature, flow]


@pytest.mark.parametrize(
    ("unit", "time", "ms"),
    [
        ("s", b"1700000000", 1_700_000_000_000),
        ("s", b"1700000000.1234", 1_700_000_000_123),
        ("ms", b"1700000000123.9", 1_700_000_000_123),
        ("us", b"1700000000123999", 1_700_000_000_123),
        ("ns", b"1700000000123999999", 1_700_000_000_123),
        ("iso8601", b'"2023-11-14T22:13:20.123Z"', 1_700_000_000_123),
        ("iso8601", b'"2023-11-14T23:13:20.123999+01:00"', 1_700_000_000_123),
        ("iso8601", b'"2023-11-14T22:13:20"', 1_700_000_000_000),  # without a zone it is UTC
    ],
)
def test_times_of_every_unit(unit: str, time: bytes, ms: int) -> None:
    assert decode({**WIDE, "time_unit": unit}, b'{"time": ' + time + b"}").readings.time.tolist() == [ms]


def test_series_that_nobody_asked_for_are_skipped() -> None:
    mapping = {**WIDE, "series": "pump-*"}
    for value in (b'{"time": 1}', b"{}"):  # what else is wrong with it is none of our business
        assert decode(mapping, value, key=b"valve-1").skipped == 1
    assert decode(mapping, b'{"time": 1}', key=b"pump-1").readings.names == ("pump-1",)


@pytest.mark.parametrize(
    "mapping",
    [
        {"channels": {}},
        {"channels": {"a": "temp"}},
        {"channels": {"a": "$['x\\y']"}},  # which msgspec would refuse once the service runs
        {"channels": {"a": "$['x\ny']"}},
        {"channels": {"a": "$.x", "b": "$.x"}},
        {"channels": {"a": "$.x", "b": "$.x.y"}},
        {"channels": {"a": "$.time"}},
        {"channels": {"a": "$.x"}, "time": "time"},
        {"layout": "tall", "channels": {"a": "tag", "b": "tag"}},
    ],
)
def test_mappings_that_make_no_sense_are_refused(mapping: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"channel|path|read twice"):
        Mapping(**mapping)


def test_paths() -> None:
    assert parse_path("$.a.b-c") == ("a", "b-c")
    assert parse_path("$['oil temp'].now[\"x.y\"]") == ("oil temp", "now", "x.y")
