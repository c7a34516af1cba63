"""Judging by the code that serves."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

from streamae.detection.artifact import Artifact
from streamae.detection.detector import Rules
from streamae.detection.scoring import Scorer
from streamae.training import evaluation, files
from streamae.training.evaluation import alerted, columns, judge
from streamae.training.matching import Event
from streamae.training.series import Stretch, stretches
from tests.training.conftest import CHANNELS, configured, fleet_frame


def rules() -> Rules:
    windows = configured().windows
    return Rules(lateness=windows.lateness(), policy=configured().episodes.policy(windows))


def parts_of(artifact: Artifact, frame: pd.DataFrame) -> list[Stretch]:
    origin = [channel.origin for channel in artifact.manifest.channels]
    return stretches(files.table(frame, CHANNELS), origin, artifact.manifest.window)


def broken(frame: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """The first machine's heat jumps from tick `first` to `last`."""
    frame = frame.copy()
    frame.loc[first:last, "heat"] += 8.0
    return frame


def test_a_fault_is_found_in_time_and_named(artifact: Artifact) -> None:
    frame = broken(fleet_frame(), 3700, 3760)
    fault = Event("m1", *(int(frame["time"][at]) for at in (3700, 3760)))
    found = [one for one in alerted(Scorer(artifact), parts_of(artifact, frame), rules()) if one.known >= fault.start]
    judged = judge(Scorer(artifact), parts_of(artifact, frame), rules(), [fault])
    assert judged.match.found == 1
    assert judged.match.events[0].delay is not None
    assert 0 < judged.match.events[0].delay <= 20_000  # 16 ticks of a window, and one stride
    assert judged.series == 2
    assert judged.allowed == pytest.approx(500 * 2 * judged.weeks)
    assert found
    figures = evaluation.facts(judged)
    assert (figures["events"], figures["found"]) == (1, 1)


def test_only_the_judge_span_is_judged(artifact: Artifact) -> None:
    frame = broken(fleet_frame(), 1000, 1060)
    judged = judge(Scorer(artifact), parts_of(artifact, frame), rules())
    assert judged.alerts == judge(Scorer(artifact), parts_of(artifact, fleet_frame()), rules()).alerts
    assert evaluation.facts(judged).keys() == {"series", "weeks", "alerts", "false", "allowed", "false_per_week"}


def test_a_lower_threshold_gives_more_alerts(artifact: Artifact) -> None:
    parts = parts_of(artifact, fleet_frame())
    limits = [msgspec.structs.replace(artifact.manifest.threshold, error=limit) for limit in (0.3, 1e9)]
    low, high = (
        replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, threshold=limit, thresholds={}))
        for limit in limits
    )
    assert judge(Scorer(low), parts, rules()).alerts > 0 == judge(Scorer(high), parts, rules()).alerts


def test_stored_readings_come_in_the_order_of_event_time() -> None:
    gap = np.ones((3, 1), np.float32)
    gap[1] = np.nan
    batches = list(columns([Stretch("b", 1, np.ones((3, 1), np.float32)), Stretch("a", 2, gap)], 10))
    assert len(batches) == 1
    assert [batches[0].names[at] for at in batches[0].series] == ["b", "a", "b", "b", "a"]
    assert batches[0].time.tolist() == [10, 20, 20, 30, 40]
    assert batches[0].offset.tolist() == list(range(5))
    assert list(columns([], 10)) == []
