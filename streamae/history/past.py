"""The past: all windows of stored readings, scored once, and the episodes that any thresholds would have given.

Windows close by the rules that serve, so that an episode is known when serving would have known it; what is still open
when the readings end stays open. The episodes come from the tracker that serves.

B windows, T ticks, C channels, S series.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from streamae.detection.alerts import Alert, ChannelShare
from streamae.detection.detector import Rules, ranked
from streamae.detection.episodes import EpisodeTracker, Place
from streamae.detection.manifest import Manifest, Threshold
from streamae.detection.scoring import Scorer, Scores
from streamae.detection.windows import Windows
from streamae.errors import ArtifactError
from streamae.history.scoring import Progress
from streamae.history.stored import Cuts, Stored

SLICE = 4096  # windows that a tracker looks at together

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Thresholds(NamedTuple):
    """The errors that scores count from: the fleet's, and those of the series that have their own."""

    fleet: Threshold
    series: dict[str, Threshold]
    per_week: float  # the alert budget that they were calibrated for

    def times(self, factor: float) -> Thresholds:
        """All of them, raised or lowered."""

        def scaled(one: Threshold) -> Threshold:
            return Threshold(error=one.error * factor, settled=one.settled * factor)

        return Thresholds(scaled(self.fleet), {name: scaled(one) for name, one in self.series.items()}, self.per_week)


class Told(NamedTuple):
    """An episode as it stood when the readings ended."""

    alert: Alert  # resolved; or firing, with the peak that it has reached by then
    until: int  # event time in ms up to which it has been anomalous, as far as is known
    known: int  # event time in ms of the reading that made it fire


@dataclass(frozen=True)
class Past:
    """The windows [B] of stored readings in the order in which they closed, and what the graph gave for them."""

    scorer: Scorer
    stored: Stored
    rules: Rules
    windows: Windows  # without their values
    series: Ints  # [B] index into the names
    error: Floats  # [B]
    settled: Floats  # [B]
    channel_error: Floats  # [B, C]

    @property
    def manifest(self) -> Manifest:
        """The model's facts."""
        return self.scorer.artifact.manifest

    def scores(self, thresholds: Thresholds) -> Scores:
        """The scores of all windows under some thresholds."""
        known = [thresholds.series.get(name, thresholds.fleet) for name in self.stored.names]
        error, settled = (np.array([getattr(one, of) for one in known])[self.series] for of in ("error", "settled"))
        with np.errstate(over="ignore"):
            return Scores(self.error / error, self.settled / settled, self.channel_error, error)

    def alerts(self, thresholds: Thresholds, explained: bool = False) -> list[Alert]:
        """What Detector would have published, in order; the channels are ranked where that is asked for."""
        return self._track(thresholds, explained)[0]

    def episodes(self, thresholds: Thresholds, explained: bool = False) -> list[Told]:
        """The episodes, by when they fired."""
        alerts, tracker = self._track(thresholds, explained)
        still = {name: episode.end for name, episode in tracker.episodes.items() if episode.fired}
        fired = {alert.id: alert for alert in alerts if alert.state == "firing"}
        last = {alert.id: alert for alert in alerts}
        for alert in tracker.withdraw():
            last[alert.id] = msgspec.structs.replace(alert, state="firing", reason=None, end=None)
        return [
            Told(
                alert,
                still[alert.series] if alert.end is None else alert.end,
                int(self.stored.time[fired[name].source.last]),
            )
            for name, alert in last.items()
        ]

    def _track(self, thresholds: Thresholds, explained: bool) -> tuple[list[Alert], EpisodeTracker]:
        scores = self.scores(thresholds)
        place = Place(self.manifest.name, "stored", 0)
        tracker = EpisodeTracker(self.rules.policy, place, self.manifest.settled_smoothing, thresholds.per_week)
        explain = Explanations(self, scores) if explained else None
        alerts: list[Alert] = []
        for at in range(0, len(self.windows), SLICE):
            rows = slice(at, at + SLICE)
            rank = explain.of(at) if explain else lambda row: ()
            part = Scores(*(getattr(scores, one.name)[rows] for one in fields(scores)))
            alerts += tracker.update(some(self.windows, rows), part, self.manifest.version, rank)
        alerts += tracker.expire(int(self.stored.time.max()))
        return alerts, tracker


class Explanations:
    """Which channels are to blame for a window: its values are cut out again, for few windows are asked about."""

    def __init__(self, past: Past, scores: Scores) -> None:
        self._past, self._scores = past, scores
        self._cuts = Cuts(past.stored)

    def of(self, begin: int) -> Callable[[int], tuple[ChannelShare, ...]]:
        """An explanation of the windows of a slice that begins here."""
        return lambda row: self._ranked(begin + row)

    def _ranked(self, row: int) -> tuple[ChannelShare, ...]:
        one, windows = slice(row, row + 1), self._past.windows
        values = self._cuts.window(windows.series[row], int(windows.start[row]))[None]
        window = some(windows, one, values)
        scores = Scores(*(getattr(self._scores, of.name)[one] for of in fields(self._scores)))
        return ranked(self._past.scorer, window, scores, 0)


def look_back(scorer: Scorer, stored: Stored, rules: Rules, progress: Progress | None = None) -> Past:
    """Make and score all windows of stored readings. Raises ArtifactError for errors that are no numbers."""
    windower = stored.windower(rules.lateness)
    found, errors, handled = [], [], 0
    for readings in stored.slices():
        windows = windower.push(readings).windows
        errors.append(scorer.errors(windows.values, scorer.artifact.profiles.rows(windows.series)))
        found.append(some(windows, slice(None)))
        handled += len(readings)
        if progress:
            progress(handled)
    joined = {
        one.name: np.concatenate([getattr(part, one.name) for part in found])
        for one in fields(Windows)
        if one.name != "series"
    }
    windows = Windows(series=[name for part in found for name in part.series], **joined)
    series = pd.Index(stored.names).get_indexer(pd.Index(windows.series, dtype=object)).astype(np.int64)
    error, settled, channel_error = (
        np.concatenate([getattr(part, name) for part in errors]) for name in ("error", "settled_error", "channel_error")
    )
    if not (np.isfinite(error).all() and np.isfinite(settled).all()):
        raise ArtifactError(
            f"{scorer.artifact.manifest.name}@{scorer.artifact.manifest.version}: model.onnx gives errors that are no "
            "numbers; roll back to the version before"
        )
    return Past(scorer, stored, rules, windows, series, error, settled, channel_error)


def some(windows: Windows, rows: slice, values: Floats | None = None) -> Windows:
    """Some of the windows, in the same order, without their values or with these."""
    columns = {
        one.name: getattr(windows, one.name)[rows] for one in fields(windows) if one.name not in ("series", "values")
    }
    series = windows.series[rows]
    bare = np.empty((len(series), 0, windows.values.shape[2]), np.float32)
    return Windows(series=series, values=bare if values is None else values, **columns)
