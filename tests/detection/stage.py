"""What the tests of detectors share: one set of artifacts, the detector with its slow twin, and alerts by series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamae.detection.alerts import Alert, ChannelShare
from streamae.detection.detector import Detector, Rules
from streamae.detection.episodes import Place
from streamae.detection.keeper import WEEK_MS
from streamae.detection.manifest import WindowSpec
from streamae.detection.scoring import Scorer
from tests.graphs import tiny_artifact
from tests.naive import NaiveDetector, NaiveTracker, NaiveWindower, Reading, Scored, Window
from tests.strategies import CHANNELS, columns, latenesses, policies

PLACE = Place("tiny", "readings", 3)
SPECS = [(2, 2, 1000), (3, 1, 10), (4, 2, 1000), (5, 3, 1)]


@cache
def scorer(length: int, stride: int, cadence_ms: int, smoothing: int) -> Scorer:
    """One session each: starting them is what takes time. The budget is an episode each 100 ticks."""
    return Scorer(
        tiny_artifact(
            CHANNELS,
            length,
            stride,
            cadence_ms,
            origins=[10.0, 0.0],
            smoothing=smoothing,
            budget_per_week=WEEK_MS / (100 * cadence_ms),
            centres={"pump-2": 1.0},
            thresholds={"valve": 2.0},
        )
    )


@dataclass(frozen=True)
class Stage:
    """A scorer and rules; every detector on it is a fresh one."""

    scorer: Scorer
    rules: Rules

    @property
    def spec(self) -> WindowSpec:
        return self.scorer.artifact.manifest.window

    def detector(self) -> Detector:
        return Detector(self.scorer, self.rules, PLACE)

    def naive(self) -> NaiveDetector:
        windower = NaiveWindower(self.spec, self.rules.lateness, CHANNELS)
        manifest = self.scorer.artifact.manifest
        tracker = NaiveTracker(self.rules.policy, PLACE, manifest.settled_smoothing, manifest.budget_per_week)
        return NaiveDetector(windower, tracker, self._score)

    def restored(self, log: Sequence[Reading], before: Detector, at: int) -> Detector:
        """A fresh detector that takes over from one that has handled the first `at` readings of the log."""
        replay_from, after = before.replay_from(), self.detector()
        if replay_from is not None:
            after.follow(columns([reading for reading in log[:at] if reading.offset >= replay_from]))
        after.restore(before.partition_newest, before.episodes())
        return after

    def _score(self, window: Window) -> Scored:
        """One window by itself, through the same graph."""
        values = np.array([window.values], np.float32)
        scores = self.scorer.score(values, [window.series])
        channels = self._channels(values, window.series, scores.channel_error[0])
        threshold = float(scores.threshold[0])
        return Scored(float(scores.score[0]), float(scores.settled[0]), threshold, "1", channels)

    def _channels(
        self, values: NDArray[np.float32], series: str, error: NDArray[np.float32]
    ) -> tuple[ChannelShare, ...]:
        """The largest share first; means over the newest stride of ticks that were observed."""
        expected = self.scorer.reconstruct(values, [series])[0]
        found = []
        for at, channel in enumerate(self.scorer.artifact.manifest.channels):
            newest = range(self.spec.length - self.spec.stride, self.spec.length)
            seen = [tick for tick in newest if not np.isnan(values[0, tick, at])]
            share = float(error[at] / max(float(error.sum()), 1e-12))
            means = [float(np.mean([float(of[tick, at]) for tick in seen] or [np.nan])) for of in (expected, values[0])]
            raw = [mean + channel.origin if seen else None for mean in means]
            found.append((share, ChannelShare(channel.name, round(share, 6), *raw)))
        return tuple(channel for _, channel in sorted(found, key=lambda each: -each[0]))


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    """Any rules over one of the artifacts."""
    length, stride, cadence_ms = draw(st.sampled_from(SPECS))
    lateness, policy = draw(latenesses(cadence_ms)), draw(policies(cadence_ms))
    if policy.keep_budget:  # as a config has it: what a window may still come for is not silent
        silence = policy.expire_after_ms + lateness.max_lag_ms + stride * cadence_ms
        policy = msgspec.structs.replace(policy, expire_after_ms=silence)
    rules = Rules(lateness=lateness, policy=policy)
    return Stage(scorer(length, stride, cadence_ms, draw(st.sampled_from([1, 3]))), rules)


def by_series(alerts: Iterable[Alert]) -> dict[str, list[bytes]]:
    """Each series' alerts in order, as bytes."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for alert in alerts:
        found[alert.series].append(msgspec.json.encode(alert))
    return dict(found)
