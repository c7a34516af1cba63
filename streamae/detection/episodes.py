"""EpisodeTracker: scores -> alerts. It holds the pending and open episodes of one partition, and nothing else.

Rules:
1. A window with less than `min_observed` of its values counts neither way.
2. `fire_after` windows in a row with a score above 1 fire; the first of them gives the episode its id.
3. An open episode is calm in a window when neither its score nor its smoothed settled score is above 1;
   `resolve_after` calm windows in a row resolve it (`recovered`).
4. An episode whose series has brought no window that counts for `expire_after_ms` of the partition's event time ends
   (`silent`), before any window that closes later is looked at.
5. Where the budget is kept (keeper.py), an episode's scores count from the raised threshold at the end of its first
   window, while scores as they are published count from the calibrated one.
6. What happens is decided by scores and event time alone, so that a replay gives the same alerts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
import numpy as np

from streamae.detection.alerts import Alert, ChannelShare, Offsets, Peak
from streamae.detection.keeper import BudgetKeeper
from streamae.detection.scoring import Scores
from streamae.detection.state import Episode, State, read_state
from streamae.detection.windows import Windows


class EpisodePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When an anomaly is an alert."""

    fire_after: int = 2
    resolve_after: int = 4
    min_observed: float = 0.5
    expire_after_ms: int
    keep_budget: bool = False


class Place(msgspec.Struct, frozen=True):
    """Whose episodes these are."""

    model: str
    topic: str
    partition: int


Explain = Callable[[int], tuple[ChannelShare, ...]]  # row of a window -> its channels, ranked by share


class EpisodeTracker:
    """The pending and open episodes of one partition."""

    def __init__(self, policy: EpisodePolicy, place: Place, smoothing: int = 1, per_week: float = 1.0) -> None:
        self.policy = policy
        self.place = place
        self.keeper = BudgetKeeper(None)
        self.serve(smoothing, per_week)
        self.episodes: dict[str, Episode] = {}

    def serve(self, smoothing: int, per_week: float) -> None:
        """Go by another model: windows over which the settled score is averaged, and its alert budget."""
        self.smoothing = smoothing
        self.keeper.per_week = per_week if self.policy.keep_budget else None

    def update(self, windows: Windows, scores: Scores, version: str, explain: Explain) -> list[Alert]:
        """Take scored windows in the order in which they closed; returns the alerts that they bring about."""
        concerned = {*self.episodes, *(windows.series[row] for row in np.flatnonzero(scores.score > 1).tolist())}
        if not concerned:
            return []
        matters = np.array([name in concerned for name in windows.series], np.bool_)
        alerts: list[Alert] = []
        for row in np.flatnonzero(matters & (windows.observed >= self.policy.min_observed)).tolist():
            alerts += self._expired([windows.series[row]], int(windows.closed_at[row]))
            alerts += self._window(_Seen(windows, scores, row, version), explain)
        return alerts

    def expire(self, partition_newest: int) -> list[Alert]:
        """End the episodes whose series have been silent for too long."""
        self.keeper.forget(partition_newest - self.policy.expire_after_ms)
        return self._expired(sorted(self.episodes), partition_newest)

    def withdraw(self) -> list[Alert]:
        """Resolve every open episode, because what found it no longer serves."""
        alerts = [self._resolve(self.episodes[name], "withdrawn") for name in sorted(self.episodes)]
        self.episodes.clear()
        return [alert for alert in alerts if alert is not None]

    def dump(self) -> bytes:
        """All episodes and raised thresholds, for `load`; equal ones give equal bytes."""
        episodes, raised = [self.episodes[name] for name in sorted(self.episodes)], self.keeper.dump()
        return msgspec.json.encode(State(episodes, raised) if raised else episodes)

    def load(self, data: bytes) -> None:
        """Take over what `dump` gave. Raises DataError for anything else."""
        state = read_state(data)
        self.episodes = {episode.series: episode for episode in state.episodes}
        self.keeper.load(state.raised)

    def _expired(self, names: Iterable[str], partition_newest: int) -> list[Alert]:
        alerts = []
        for name in names:
            episode = self.episodes.get(name)
            if episode is not None and partition_newest >= episode.seen + self.policy.expire_after_ms:
                alerts.append(self._end(name, "silent"))
        return [alert for alert in alerts if alert is not None]

    def _window(self, seen: _Seen, explain: Explain) -> list[Alert]:
        episode = self.episodes.get(seen.series)
        seen.hold_against(episode.factor if episode else self.keeper.factor(seen.series, seen.end))
        if episode is None:
            if seen.score <= 1:
                return []
            episode = self.episodes[seen.series] = seen.episode()
        calm = seen.count(episode, self.smoothing)
        if calm and not episode.fired:
            del self.episodes[seen.series]
        elif calm and episode.calm >= self.policy.resolve_after:
            resolved = self._end(seen.series, "recovered")
            return [resolved] if resolved else []
        elif not episode.fired and episode.above >= self.policy.fire_after:
            episode.fired = True
            episode.channels = explain(seen.row)
            return [self._alert(episode, "firing")]
        return []

    def _end(self, series: str, reason: Literal["recovered", "silent"]) -> Alert | None:
        episode = self.episodes.pop(series)
        if episode.fired:
            self.keeper.rise(series, episode.seen)
        return self._resolve(episode, reason)

    def _resolve(self, episode: Episode, reason: Literal["recovered", "silent", "withdrawn"]) -> Alert | None:
        return self._alert(episode, "resolved", reason) if episode.fired else None

    def _alert(
        self,
        episode: Episode,
        state: Literal["firing", "resolved"],
        reason: Literal["recovered", "silent", "withdrawn"] | None = None,
    ) -> Alert:
        identity = f"{self.place.model}|{episode.series}|{episode.first}"
        return Alert(
            id=hashlib.sha256(identity.encode()).hexdigest()[:32],
            state=state,
            reason=reason,
            model=self.place.model,
            version=episode.version,
            series=episode.series,
            start=episode.onset,
            end=episode.end if state == "resolved" else None,
            peak=episode.peak,
            confirmed=episode.confirmed,
            threshold=episode.threshold,
            channels=episode.channels,
            observed=round(episode.observed / episode.windows, 6),
            source=Offsets(self.place.topic, self.place.partition, episode.first_offset, episode.last_offset),
        )


class _Seen:
    """One scored window of a series that matters to an episode."""

    def __init__(self, windows: Windows, scores: Scores, row: int, version: str) -> None:
        self.row = row
        self.series = windows.series[row]
        self.start, self.end = int(windows.start[row]), int(windows.end[row])
        self.centre = (self.start + self.end) // 2
        self.first_offset, self.closed_offset = int(windows.first_offset[row]), int(windows.closed_offset[row])
        self.observed = float(windows.observed[row])
        self.score, self.settled = float(scores.score[row]), float(scores.settled[row])
        self.threshold = float(scores.threshold[row])
        self.factor = 1.0
        self.version = version

    def hold_against(self, factor: float) -> None:
        """Count scores from so many times the calibrated threshold."""
        self.score, self.settled = self.score / factor, self.settled / factor
        self.threshold, self.factor = self.threshold * factor, factor

    def episode(self) -> Episode:
        """The episode that begins with this window. What made it anomalous lies in its newer half."""
        return Episode(
            series=self.series,
            first=self.start,
            onset=self.centre,
            end=self.end,
            seen=self.end,
            peak=Peak(self.end, self.score),
            windows=0,
            threshold=self.threshold,
            factor=self.factor,
            version=self.version,
            first_offset=self.first_offset,
            last_offset=self.closed_offset,
        )

    def count(self, episode: Episode, smoothing: int) -> bool:
        """Count this window towards its episode; returns whether it is calm."""
        episode.settled = [*episode.settled, self.settled][-smoothing:]
        settled = sum(episode.settled) / len(episode.settled)
        calm = self.score <= 1 and (settled <= 1 or not episode.fired)
        episode.seen, episode.last_offset = self.end, self.closed_offset
        episode.first_offset = min(episode.first_offset, self.first_offset)  # newer ticks may have come earlier
        episode.observed += self.observed
        episode.windows += 1
        episode.confirmed |= settled > 1
        episode.above = episode.above + 1 if self.score > 1 else 0
        episode.calm = episode.calm + 1 if calm else 0
        if not calm:
            episode.end = max(episode.end, self.end if self.score > 1 else self.centre)
        if self.score > episode.peak.score:
            episode.peak = Peak(self.end, self.score)
        return calm
