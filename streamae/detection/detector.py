"""Detector: the three machines in a row, for one partition. The same one serves, backtests and evaluates.

    Readings -> Windower -> Windows -> Scorer -> Scores -> EpisodeTracker -> Alerts

It is a fold over the partition's readings in offset order: it can be told to follow silently what has been handled
before (`follow`), and to take over the episodes that were open then (`restore`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from streamae.detection.alerts import Alert, ChannelShare
from streamae.detection.episodes import EpisodePolicy, EpisodeTracker, Place
from streamae.detection.grid import Lateness
from streamae.detection.manifest import Manifest
from streamae.detection.readings import Readings
from streamae.detection.rings import NEVER
from streamae.detection.scoring import Scorer, Scores
from streamae.detection.uses import NOTHING, Used
from streamae.detection.windows import Windower, Windows

SHOWN_CHANNELS = 10  # of an alert's ranking

Whole = Annotated[int, Meta(ge=0, lt=2**62)]  # an offset or an event time


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about detection; everything else is the model's."""

    lateness: Lateness
    policy: EpisodePolicy


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a partition needs to resume, beside its readings and its episodes: small enough for a commit's metadata.

    Windows are a view of the log, so they are not stored: they are filled again from `replay_from` on.
    """

    format: Literal[1] = 1
    settings_hash: str  # of mapping, lateness and policies
    replay_from: Whole  # the lowest offset of any reading in an open window
    partition_newest: Whole | None  # event time, ms
    version: str  # of the model that scored last
    state_at: Whole | None  # offset of the record that holds the episodes; None where there never were any
    topic_id: str = ""  # of the readings: another one after the topic was deleted and made again

    def encode(self) -> str:
        """As text, some 200 characters."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, text: str) -> Checkpoint | None:
        """The checkpoint in a commit's metadata; None where that is something else."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Detected:
    """What a batch of readings came to."""

    alerts: list[Alert]
    windows: Windows
    scores: Scores
    late: NDArray[np.bool_]  # [N]
    used: Used = NOTHING  # what was made of the windows beside scores


def fits(old: Manifest, new: Manifest) -> bool:
    """Whether `new` can take over windows and episodes that `old` has begun."""
    return old.window == new.window and old.channels == new.channels


class Detector:
    """Finds anomalies in the readings of one partition."""

    def __init__(self, scorer: Scorer, rules: Rules, place: Place) -> None:
        manifest = scorer.artifact.manifest
        self.scorer = scorer
        self._windower = Windower(
            manifest.window, rules.lateness, len(manifest.channels), measured=len(manifest.measured)
        )
        self._tracker = EpisodeTracker(rules.policy, place, manifest.settled_smoothing, manifest.budget_per_week)

    @property
    def version(self) -> str:
        """The version that scores."""
        return self.scorer.artifact.manifest.version

    @property
    def partition_newest(self) -> int | None:
        """The newest event time of the partition (ms), where there is one."""
        newest = self._windower.partition_newest
        return newest if newest > NEVER else None

    @property
    def series(self) -> list[str]:
        """The series that have a reading in an open window."""
        return self._windower.series()

    @property
    def open_episodes(self) -> int:
        """How many episodes are firing."""
        return sum(episode.fired for episode in self._tracker.episodes.values())

    def has_room(self, readings: Readings, most: int) -> bool:
        """Whether no more than `most` series would have a reading in an open window; of several a careful guess."""
        return self._windower.has_room(readings, most)

    def push(self, readings: Readings) -> Detected:
        """Detect in readings that follow in offset order."""
        pushed = self._windower.push(readings)
        windows = pushed.windows
        scores = self.scorer.score(windows.values, windows.series)

        def explain(row: int) -> tuple[ChannelShare, ...]:
            return ranked(self.scorer, windows, scores, row)

        alerts = self._tracker.update(windows, scores, self.version, explain)
        alerts += self._tracker.expire(self._windower.partition_newest)
        return Detected(alerts, windows, scores, pushed.late, self.scorer.uses.of(windows))

    def follow(self, readings: Readings) -> None:
        """Fill the windows with readings that were handled before; nothing is scored, emitted or tracked."""
        self._windower.push(readings)

    def restore(self, partition_newest: int | None, episodes: bytes | None) -> None:
        """After `follow`: take over the event time and the episodes of a checkpoint."""
        if partition_newest is not None:
            self._windower.catch_up(partition_newest)  # what this closes was given out before the checkpoint
        if episodes is not None:
            self._tracker.load(episodes)

    def replay_from(self) -> int | None:
        """The offset from which `follow` must read to fill the open windows; None where none holds a reading."""
        return self._windower.replay_from()

    def episodes(self) -> bytes:
        """The pending and open episodes and raised thresholds, for `restore`; equal ones give equal bytes."""
        return self._tracker.dump()

    def withdraw(self) -> list[Alert]:
        """Resolve every open episode: another model or other rules take over, and windows begin anew."""
        return self._tracker.withdraw()

    def swap(self, scorer: Scorer) -> None:
        """Score with another version from here on; windows and episodes stay (`fits` must hold)."""
        self.scorer = scorer
        manifest = scorer.artifact.manifest
        self._tracker.serve(manifest.settled_smoothing, manifest.budget_per_week)


def ranked(scorer: Scorer, windows: Windows, scores: Scores, row: int) -> tuple[ChannelShare, ...]:
    """The channels of a window by their share of its error, with the means of what was expected and measured.

    Means are over the newest stride of ticks that were observed: the part that no window before had seen.
    """
    manifest = scorer.artifact.manifest
    actual = windows.values[row]  # [T, C]
    expected = scorer.reconstruct(actual[None], [windows.series[row]])[0]
    error = np.where([c.scored for c in manifest.channels], scores.channel_error[row], 0.0)[: len(manifest.measured)]
    share = error / max(float(error.sum()), 1e-12)
    newest = slice(-manifest.window.stride, None)
    found = []
    for at in np.argsort(-share, kind="stable")[:SHOWN_CHANNELS].tolist():
        channel, seen = manifest.channels[at], ~np.isnan(actual[newest, at])
        means = [_mean(part[newest, at][seen], channel.origin) for part in (expected, actual)]
        found.append(ChannelShare(channel.name, round(float(share[at]), 6), *means))
    return tuple(found)


def _mean(values: NDArray[np.float32], origin: float) -> float | None:
    return float(values.astype(np.float64).mean()) + origin if len(values) else None
