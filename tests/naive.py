"""The slow, obvious twin of detection: one reading at a time, with dicts and loops, from the rules alone.

Every open window holds its own copy of what it was given, and every reading looks at every window.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from streamae.detection.alerts import Alert, ChannelShare, Offsets, Peak
from streamae.detection.episodes import EpisodePolicy, Place
from streamae.detection.grid import Lateness
from streamae.detection.manifest import WindowSpec

Values = tuple[float, ...]  # one number a channel; NaN = silence


@dataclass(frozen=True)
class Reading:
    """The values of a series' channels at one instant."""

    series: str
    time: int
    values: Values
    offset: int


@dataclass(frozen=True)
class Window:
    """A closed window."""

    series: str
    start: int
    end: int
    values: tuple[Values, ...]
    first_offset: int
    closed_offset: int
    closed_at: int

    @property
    def observed(self) -> float:
        cells = [value for tick in self.values for value in tick]
        return sum(not math.isnan(value) for value in cells) / len(cells)


@dataclass
class OpenWindow:
    """What a window was given so far."""

    start: int
    end: int
    ticks: list[list[float]]
    offsets: list[int] = field(default_factory=list)


class NaiveWindower:
    """Rules 1 to 6 of `windows.py`, as they are written there."""

    def __init__(self, spec: WindowSpec, lateness: Lateness, channels: int) -> None:
        self.spec, self.lateness, self.channels = spec, lateness, channels
        self.newest: dict[str, int] = {}
        self.open: dict[str, dict[int, OpenWindow]] = {}

    def push(self, reading: Reading) -> tuple[list[Window], bool]:
        """The windows that a reading closes, and whether it is late."""
        tick = reading.time // self.spec.cadence_ms
        windows = [index for index in self._holding(reading.series, tick) if not self._closed(reading.series, index)]
        if not windows:
            return [], True
        self.newest[reading.series] = max(reading.time, self.newest.get(reading.series, reading.time))
        for index in windows:
            self._write(index, tick, reading)
        closed = [
            self._close(series, index, reading.offset)
            for series in sorted(self.open)
            for index in sorted(self.open[series])
            if self._closed(series, index)
        ]
        return closed, False

    def replay_from(self) -> int | None:
        """The lowest offset in any open window."""
        return min((min(w.offsets) for windows in self.open.values() for w in windows.values()), default=None)

    def _first_tick(self, series: str, index: int) -> int:
        return index * self.spec.stride + zlib.crc32(series.encode()) % self.spec.stride

    def _holding(self, series: str, tick: int) -> list[int]:
        near = tick // self.spec.stride
        around = range(near - self.spec.length - 2, near + 2)
        return [i for i in around if 0 <= tick - self._first_tick(series, i) < self.spec.length]

    def _end(self, series: str, index: int) -> int:
        return (self._first_tick(series, index) + self.spec.length) * self.spec.cadence_ms

    def _closed(self, series: str, index: int) -> bool:
        end = self._end(series, index)
        by_series = series in self.newest and end <= self.newest[series] - self.lateness.lateness_ms
        by_partition = bool(self.newest) and end <= max(self.newest.values()) - self.lateness.max_lag_ms
        return by_series or by_partition

    def _write(self, index: int, tick: int, reading: Reading) -> None:
        first = self._first_tick(reading.series, index)
        silence = [[math.nan] * self.channels for _ in range(self.spec.length)]
        fresh = OpenWindow(first * self.spec.cadence_ms, self._end(reading.series, index), silence)
        window = self.open.setdefault(reading.series, {}).setdefault(index, fresh)
        window.offsets.append(reading.offset)
        for channel, value in enumerate(reading.values):
            if not math.isnan(value):
                window.ticks[tick - first][channel] = value

    def _close(self, series: str, index: int, offset: int) -> Window:
        window = self.open[series].pop(index)
        latest = min(max(self.newest.values()), window.end + self.lateness.max_lag_ms)
        values = tuple(tuple(tick) for tick in window.ticks)
        return Window(series, window.start, window.end, values, min(window.offsets), offset, latest)


@dataclass(frozen=True)
class Scored:
    """What a scorer says of one window."""

    score: float
    settled: float
    threshold: float
    version: str
    channels: tuple[ChannelShare, ...]


@dataclass
class NaiveEpisode:
    """All windows of one series since the first anomalous one that count, with their scores."""

    windows: list[tuple[Window, Scored]] = field(default_factory=list)  # scores as they count
    factor: float = 1.0  # of the threshold in force over the calibrated one
    channels: tuple[ChannelShare, ...] | None = None  # once it has fired


class NaiveTracker:
    """Rules 1 to 6 of `episodes.py`: an episode is the list of its windows, and every question is asked of the list.

    The same of `keeper.py`: how far a threshold is raised is asked of the list of all that has ended.
    """

    def __init__(self, policy: EpisodePolicy, place: Place, smoothing: int, per_week: float) -> None:
        self.policy, self.place, self.smoothing, self.per_week = policy, place, smoothing, per_week
        self.episodes: dict[str, NaiveEpisode] = {}
        self.ended: dict[str, list[int]] = {}  # the ends of the last windows of the episodes that have fired

    def take(self, window: Window, scored: Scored) -> list[Alert]:
        """What one window brings about."""
        if window.observed < self.policy.min_observed:
            return []
        alerts = self.expire([window.series], window.closed_at)
        open_one = self.episodes.get(window.series)
        factor = open_one.factor if open_one else self._factor(window.series, window.end)
        counts = replace(scored, score=scored.score / factor, settled=scored.settled / factor)
        if open_one is None and counts.score <= 1:
            return alerts
        episode = self.episodes.setdefault(window.series, NaiveEpisode(factor=factor))
        episode.windows.append((window, counts))
        if episode.channels is None:
            return alerts + self._pending(episode)
        calm = [self._calm(episode, at) for at in range(self._fired_at(episode) + 1, len(episode.windows))]
        if len(calm) >= self.policy.resolve_after and all(calm[-self.policy.resolve_after :]):
            alerts.append(self._resolve(window.series, "recovered"))
        return alerts

    def expire(self, series: Iterable[str], time: int) -> list[Alert]:
        """End the episodes of those series that have been silent for too long."""
        silent = [s for s in series if s in self.episodes and time - self._seen(s) >= self.policy.expire_after_ms]
        fired = [s for s in silent if self.episodes[s].channels is not None]
        alerts = [self._resolve(s, "silent") for s in fired]
        for s in set(silent) - set(fired):
            del self.episodes[s]
        return alerts

    def _pending(self, episode: NaiveEpisode) -> list[Alert]:
        window, scored = episode.windows[-1]
        if scored.score <= 1:
            del self.episodes[window.series]
        elif len(episode.windows) >= self.policy.fire_after:
            episode.channels = scored.channels
            return [self._alert(episode, None)]
        return []

    def _factor(self, series: str, time: int) -> float:
        """A factor of 2 for each episode that has ended, half of which is gone after half a budget's time."""
        if not self.policy.keep_budget:
            return 1.0
        fall = 2 * math.log(2) * self.per_week / 604_800_000
        raised, before = 0.0, 0
        for end in self.ended.get(series, []):
            raised, before = max(raised - fall * (end - before), 0.0) + math.log(2), end
        return math.exp(max(raised - fall * (time - before), 0.0))

    def _seen(self, series: str) -> int:
        return self.episodes[series].windows[-1][0].end

    def _fired_at(self, episode: NaiveEpisode) -> int:
        return self.policy.fire_after - 1

    def _smoothed(self, episode: NaiveEpisode, at: int) -> float:
        last = [scored.settled for _, scored in episode.windows[: at + 1]][-self.smoothing :]
        return sum(last) / len(last)

    def _calm(self, episode: NaiveEpisode, at: int) -> bool:
        return episode.windows[at][1].score <= 1 and self._smoothed(episode, at) <= 1

    def _resolve(self, series: str, reason: str) -> Alert:
        self.ended.setdefault(series, []).append(self._seen(series))
        return self._alert(self.episodes.pop(series), reason)

    def _anomalous_until(self, episode: NaiveEpisode) -> int:
        """To the end of the last window that fires; the middle of one that is only confirmed may be later."""
        ends = [w.end for w, scored in episode.windows if scored.score > 1]
        later = range(self._fired_at(episode) + 1, len(episode.windows))
        middles = [
            (w.start + w.end) // 2 for w, _ in (episode.windows[at] for at in later if not self._calm(episode, at))
        ]
        return max(ends + middles)

    def _alert(self, episode: NaiveEpisode, reason: str | None) -> Alert:
        windows = [window for window, _ in episode.windows]
        first, begun = episode.windows[0]
        peak, highest = max(episode.windows, key=lambda each: each[1].score)
        name = f"{self.place.model}|{first.series}|{first.start}"
        return Alert(
            id=hashlib.sha256(name.encode()).hexdigest()[:32],
            state="resolved" if reason else "firing",
            reason=reason,  # type: ignore[arg-type]
            model=self.place.model,
            version=begun.version,
            series=first.series,
            start=(first.start + first.end) // 2,
            end=self._anomalous_until(episode) if reason else None,
            peak=Peak(peak.end, highest.score),
            confirmed=any(self._smoothed(episode, at) > 1 for at in range(len(windows))),
            threshold=begun.threshold * episode.factor,
            channels=episode.channels or (),
            observed=round(sum(window.observed for window in windows) / len(windows), 6),
            source=Offsets(
                self.place.topic,
                self.place.partition,
                min(window.first_offset for window in windows),
                windows[-1].closed_offset,
            ),
        )


class NaiveDetector:
    """The two in a row, with anything in between that scores one window."""

    def __init__(self, windower: NaiveWindower, tracker: NaiveTracker, score: Callable[[Window], Scored]) -> None:
        self.windower, self.tracker, self.score = windower, tracker, score

    def push(self, reading: Reading) -> list[Alert]:
        """The alerts that one reading brings about."""
        closed, _ = self.windower.push(reading)
        alerts = [alert for window in closed for alert in self.tracker.take(window, self.score(window))]
        newest = max(self.windower.newest.values())
        return alerts + self.tracker.expire(sorted(self.tracker.episodes), newest)
