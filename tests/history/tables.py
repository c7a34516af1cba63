"""What the tests of history share: logs as stored tables, in the order in which they would have come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from streamae.detection.manifest import Manifest
from streamae.training.files import Table
from tests.detection.stage import Stage, stages
from tests.naive import Reading
from tests.strategies import logs

# Logs take long to draw where cores are shared; a deadline would only say so.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)


def table_of(log: Sequence[Reading], manifest: Manifest) -> Table:
    """A log as files would hold it: raw units, rows as they were written."""
    names = tuple(sorted({reading.series for reading in log}))
    origin = np.array([channel.origin for channel in manifest.channels])
    return Table(
        names,
        np.array([names.index(reading.series) for reading in log], np.int64),
        np.array([reading.time for reading in log], np.int64),
        np.array([reading.values for reading in log], np.float64) + origin,
    )


def in_order(log: Sequence[Reading], cadence_ms: int) -> list[Reading]:
    """By tick, and as written within one; offsets count from 0."""
    ordered = sorted(log, key=lambda reading: reading.time // cadence_ms)
    return [Reading(one.series, one.time, one.values, offset) for offset, one in enumerate(ordered)]


def sounds(log: Sequence[Reading]) -> bool:
    """Whether there is a single value in it."""
    return bool(log) and not np.isnan([reading.values for reading in log]).all()


@st.composite
def histories(draw: st.DrawFn) -> tuple[Stage, list[Reading]]:
    """Any rules, and a log that is stored."""
    stage = draw(stages())
    return stage, draw(logs(stage.spec.cadence_ms, most=40).filter(sounds))


def swinging(rows: int = 300, series: Sequence[str] = ("pump-1", "pump-2"), seed: int = 0) -> pd.DataFrame:
    """A second a row; two channels around 0, one of which is hot for 20 rows from row 200 on."""
    draw = np.random.default_rng(seed)
    frames = []
    for name in series:
        values = draw.normal(0, 0.3, (rows, 2)).round(3)
        values[200:220, 1] += 9
        frame = pd.DataFrame(values, columns=["channel-0", "channel-1"])
        frame.insert(0, "time", pd.date_range("2026-03-01", periods=rows, freq="s", tz="UTC"))
        frame.insert(0, "series", name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
