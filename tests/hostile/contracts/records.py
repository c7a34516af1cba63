"""Records: the first byte chooses the mapping, the second the key."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import numpy as np

from streamae.detection.json_records import JsonDecoder
from streamae.detection.manifest import Channel
from streamae.detection.readings import Decoded, Mapping, Reason, RecordColumns
from tests.detection import naive_records
from tests.hostile.contracts.contract import Contract

CHANNELS = (Channel(name="temperature", origin=20.0), Channel(name="flow"))
WIDE = {"temperature": "$.temp", "flow": "$.inner['a flow'].now"}
TALL: dict[str, Any] = {"layout": "tall", "channels": {"temperature": "temp", "flow": "7"}, "channel": "$.tag"}
KEYS = (b"pump-1", b"valve", b"", None, b"\xff", "pump-ü".encode(), b"p" * 1001, b"pump-\x00\n")
MAPPINGS = [
    Mapping(**layout, time_unit=unit, series_from=where, series=chosen)
    for layout, unit, where, chosen in itertools.product(
        ({"channels": WIDE}, TALL, {**TALL, "strict": True}),
        ("s", "ms", "us", "ns"),
        ("key", "$.name"),
        ("*", "pump-*"),
    )
]
DECODERS = [JsonDecoder(mapping, CHANNELS) for mapping in MAPPINGS]
LONE = re.compile(r"\\u[dD][89a-fA-F]")


def records(data: bytes) -> None:
    """A record is a reading, a dead letter or none of ours, and the same as the slow twin finds it to be."""
    chosen, key, value = (data[:1] or b"\0")[0] % len(MAPPINGS), KEYS[(data[1:2] or b"\0")[0] % len(KEYS)], data[2:]
    columns = RecordColumns(np.array([7]), np.array([-1]), [key], [value])
    decoded = DECODERS[chosen].decode(columns)
    assert len(decoded.readings) + len(decoded.dead) + decoded.skipped == 1
    for name, detail in itertools.zip_longest(decoded.readings.names, [letter.detail for letter in decoded.dead]):
        assert len((name or detail).encode()) <= 4000
    try:
        text = value.decode()
        json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError:
        assert decoded.dead[0].reason in (Reason.UNDECODABLE, Reason.WRONG_TYPE)
        return
    except (ValueError, RecursionError):  # not UTF-8, keys that come twice, too long or too deep for the twin
        return
    if not LONE.search(text):  # half a surrogate pair is text to the twin, and not to msgspec
        _same_as_twin(decoded, naive_records.decode(MAPPINGS[chosen], CHANNELS, key, value))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # the twin sees the last one only
        raise ValueError("a key comes twice")
    return found


def _same_as_twin(decoded: Decoded, wanted: Any) -> None:
    if wanted is None:
        assert decoded.skipped == 1
    elif isinstance(wanted, set):
        assert decoded.dead[0].reason in wanted, (decoded.dead, wanted)
    else:
        series, time, values = wanted
        readings = decoded.readings
        assert (readings.names, readings.time.tolist()) == ((series,), [time])
        np.testing.assert_equal(readings.values[0].tolist(), list(values))


RECORDS = Contract(
    records,
    tuple(
        bytes([mapping, 0]) + value
        for mapping in (0, 6, 18, 40)
        for value in (
            b'{"time": 1700000000, "name": "pump-1", "temp": 41.5, "inner": {"a flow": {"now": -2}}}',
            b'{"time": 1.5e9, "name": 7, "tag": "temp", "value": NaN, "other": [{"x": null}, "\\u00fc"]}',
            b'{"name": "pump-2", "time": 1699999999999, "tag": 7, "value": 1e400, "temp": Infinity}',
        )
    ),
    (
        *b'"time" "temp" "inner" "a flow" "now" "name" "tag" "value" NaN -Infinity 1e400 null true \\u0041'.split(),
        b'"pump-1"',
        b"9223372036854775808",
        b"-0.0",
        b"\xef\xbb\xbf",
        b"\\ud800",
        b"{",
        b"[",
        b"999999999999999",
    ),
)
