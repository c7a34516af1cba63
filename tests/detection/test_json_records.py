"""Any bytes are a reading, a dead letter with a reason, or none of ours; never an error."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamae.detection.json_records import JsonDecoder
from streamae.detection.manifest import Channel
from streamae.detection.readings import Decoded, Mapping, Reason, RecordColumns
from tests.detection import naive_records

CHANNELS = (Channel(name="temperature", origin=20.0), Channel(name="flow"))
WIDE = {"temperature": "$.temp", "flow": "$.inner['a flow'].now"}
TALL = {"temperature": "temp", "flow": "7"}
UNITS = ("s", "ms", "us", "ns")


def decode(
    mapping: Mapping, *values: bytes | None, key: bytes | None = b"pump-1", channels: Sequence[Channel] = CHANNELS
) -> Decoded:
    """Records at offsets 10, 11, ... without a timestamp of their own."""
    count = len(values)
    records = RecordColumns(10 + np.arange(count), np.full(count, -1), [key] * count, values)
    return JsonDecoder(mapping, channels).decode(records)


NUMBERS: list[Any] = [0, 41.5, -1e300, 10**400, -(10**30), 1e308, math.nan, math.inf, None, True, "41", [], {}]
TIMES: list[Any] = [1, 1.5, 1_700_000_000, 1_699_999_999_999_999_999, -1, -0.5, 10**25, 10**400, 1e308, math.nan]
TIMES += [math.inf, None, True, "1", [1]]
NAMES: list[Any] = ["pump-1", "valve", "", "P" * 2000, 7, 10**400, None, 1.5, True, ["pump-1"], "\u00fc\u0000"]
KEYS = [b"pump-1", b"valve", b"", None, b"\xff", "pump-ü".encode()]
RECORDS: dict[str, Any] = {"time": TIMES, "name": NAMES, "temp": NUMBERS, "value": NUMBERS}


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """An object with most of what a mapping asks for, and with anything in its place."""
    parts = {name: draw(st.sampled_from(RECORDS[name])) for name in RECORDS if draw(st.integers(0, 9))}
    parts["time"] = draw(st.one_of(st.just(parts.get("time")), st.integers(0, 2 * 10**12)))
    parts["inner"] = draw(st.sampled_from([{}, None, 3, {"a flow": None}, {"a flow": {"now": 2}}, {"a flow": [1]}]))
    parts["tag"] = draw(st.sampled_from(["temp", "7", 7, "other", None, True, {}]))
    whole: Any = draw(st.sampled_from([parts] * 30 + [[parts], 1, "text"]))
    return json.dumps(whole).encode()


@st.composite
def mappings(draw: st.DrawFn) -> Mapping:
    tall, where, unit = draw(st.booleans()), draw(st.sampled_from(["key", "$.name"])), draw(st.sampled_from(UNITS))
    chosen = draw(st.sampled_from(["*", "pump-*"]))
    rest: dict[str, Any] = {"time_unit": unit, "series_from": where, "series": chosen}
    if tall:
        strict = draw(st.booleans())
        return Mapping(layout="tall", channels=TALL, channel="$.tag", value="$.value", strict=strict, **rest)
    return Mapping(channels=WIDE, **rest)


@settings(max_examples=150, deadline=None)
@given(mappings(), st.sampled_from(KEYS), st.lists(records(), max_size=8))
def test_records_are_what_the_slow_twin_makes_of_them(mapping: Mapping, key: bytes | None, batch: list[bytes]) -> None:
    decoded = decode(mapping, *batch, key=key)
    expected = {10 + at: naive_records.decode(mapping, CHANNELS, key, value) for at, value in enumerate(batch)}
    readings, reasons = decoded.readings, {letter.offset: letter.reason for letter in decoded.dead}
    assert readings.offset.tolist() == [offset for offset, want in expected.items() if isinstance(want, tuple)]
    assert decoded.skipped == sum(want is None for want in expected.values())
    assert all(reasons.pop(offset) in want for offset, want in expected.items() if isinstance(want, set))
    assert not reasons
    for at, offset in enumerate(readings.offset.tolist()):
        found = (readings.names[readings.series[at]], int(readings.time[at]), readings.values[at].tolist())
        series, time, values = expected[offset]  # type: ignore[misc]
        np.testing.assert_equal(found, (series, time, list(values)))


BYTES = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-16")),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda part: (
            st.lists(part)
            | st.dictionaries(st.sampled_from(["time", "temp", "name", "tag", "value"]) | st.text(), part)
        ),
    ).map(lambda tree: json.dumps(tree).encode()),
    st.text(alphabet='{}[]",:0123456789eE+-.NaIinfity time\\ud8', max_size=60).map(str.encode),
)


@settings(max_examples=200, deadline=None)
@given(mappings(), st.lists(BYTES, max_size=6), st.sampled_from(KEYS))
def test_any_bytes_are_accounted_for(mapping: Mapping, batch: list[bytes | None], key: bytes | None) -> None:
    decoded = decode(mapping, *batch, key=key)
    assert len(decoded.readings) + len(decoded.dead) + decoded.skipped == len(batch)
    assert {letter.reason for letter in decoded.dead} <= set(Reason)
    for name in decoded.readings.names:
        name.encode()


@settings(max_examples=50, deadline=None)
@given(mappings(), st.lists(records(), max_size=8))
def test_a_record_does_not_depend_on_its_batch(mapping: Mapping, batch: list[bytes]) -> None:
    together = decode(mapping, *batch)
    alone = [decode(mapping, value) for value in batch]
    assert together.readings.time.tolist() == [time for one in alone for time in one.readings.time.tolist()]
    assert together.readings.values.tobytes() == b"".join(one.readings.values.tobytes() for one in alone)
    assert [letter[1:] for letter in together.dead] == [letter[1:] for one in alone for letter in one.dead]


def test_whole_nanoseconds_stay_exact_beside_a_fraction() -> None:
    mapping = Mapping(channels={"flow": "$.flow"}, time_unit="ns")
    batch = [b'{"time": 1699999999999999999}', b'{"time": 0.5}']
    assert decode(mapping, *batch, channels=CHANNELS[1:]).readings.time.tolist() == [1_699_999_999_999, 0]


def test_large_values_that_vary_little_survive_with_an_origin() -> None:
    mapping, channel = Mapping(channels={"counter": "$.counter"}), Channel(name="counter", origin=1e12)
    batch = [b'{"time": %d, "counter": %d}' % (at, 10**12 + at) for at in range(5)]
    assert decode(mapping, *batch, channels=[channel]).readings.values[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
