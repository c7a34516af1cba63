"""Config and mapping: the first byte chooses where in a good config the text comes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamae import config as configs
from streamae.detection.json_records import JsonDecoder
from streamae.detection.manifest import Channel
from streamae.detection.readings import RecordColumns
from streamae.errors import ConfigError
from tests.hostile.contracts.contract import Contract

CONFIG = """
service = "plant"
model = "pumps"
[topics]
store = "embedded://plant.db"
readings = "plant.readings"
[readings]
channels = { temperature = "$.temp", pressure = "$.plant.pressure" }
[windows]
cadence_s = 60
"""


def config(data: bytes) -> None:
    """Any text is a config that a service can begin with, or a ConfigError."""
    text = data[1:].decode(errors="replace")
    places = (text, CONFIG + text, text + CONFIG, CONFIG.replace("$.temp", text), CONFIG.replace("60", text))
    try:
        found = configs.parse(places[(data[:1] or b"\0")[0] % len(places)], Path("/plant"))
    except ConfigError as error:
        assert str(error)
        return
    mapping, rules = found.readings.mapping(), found.rules()
    decoder = JsonDecoder(mapping, [Channel(name=name) for name in found.readings.channels])
    decoded = decoder.decode(RecordColumns(np.array([7]), np.array([0]), [b"pump"], [b'{"time": 1, "temp": 2}']))
    assert len(decoded.readings) + len(decoded.dead) + decoded.skipped == 1
    for number in (rules.lateness.lateness_ms, rules.lateness.max_lag_ms, rules.policy.expire_after_ms):
        assert 0 <= number < 2**52
    assert found.windows.spec().length_ms < 2**52
    schedule = found.retraining.schedule()
    assert schedule is None or schedule.after(0) > 0


CONFIGS = Contract(
    config,
    (
        b"\0" + CONFIG.encode(),
        b"\1length = 16\nstride = 2\nlateness_s = 1.5\nmax_lag_s = 60\n[episodes]\nexpire_after_s = 900.0",
        b'\1[retraining]\ncron = "*/15 8-18 * * mon-fri"\ntimezone = "Europe/Berlin"\njitter_s = 5',
        b'\1[serving]\nstart = "2026-11-01T00:00:00Z"\nscores = "packed"\n[topics.client]\nretries = 3',
        b'\1[training]\nhidden = [64, 32]\ncontext = ["pressure"]\nranges = { temperature = 3.0 }',
        b"\3$['oil temp'].now",
        b"\0041e3",
    ),
    (
        *b"inf nan -1 0 1e300 1e16 $.time $['a\\\\b'] ${HOME} [windows] length stride cadence_s max_lag_s".split(),
        b"[readings]",
        b"series",
        b"time_unit",
        b"strict",
        b'"iso8601"',
        b"1979-05-27T07:32:00Z",
        b"\n",
        b'"""',
        b"[[",
    ),
)
