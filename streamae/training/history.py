"""History: the stored readings that a job trains on, from files or from the topic of readings itself.

How the topic is read:
1. Records become readings by the service's own decoder; what cannot be a reading is counted and said, not published.
2. A reading counts where its event time lies in [since, until). Its record's own timestamp is at most max_ahead older,
   so reading begins there; it goes on to what was the end when it began, for readings may arrive late.
3. The readings of a series stay in the order of their offsets, also those that came too late to be served.
4. Values stay float64: the origin that they need in float32 is found later, from the fit span.
5. Times in an episode of this model are left out, unless the config says otherwise.

N readings, C channels.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamae.config import Config
from streamae.detection.json_records import JsonDecoder
from streamae.detection.manifest import Channel, Span
from streamae.detection.readings import RecordColumns
from streamae.errors import ConfigError, DataError, TopicsError, some
from streamae.topics import open_store
from streamae.topics.topics import Records, TopicStore
from streamae.training import files
from streamae.training.episodes import alerted, everything
from streamae.training.files import Table, moment
from streamae.training.series import LeftOut

DAY_MS = 86_400_000
LATELY = (DAY_MS // 24, DAY_MS, 30 * DAY_MS, None)  # how far back the newest reading is looked for, step by step
EVER = 2**62
SHOWN = 5  # names in a note

Rows = Callable[[int], None]  # is told how many records were read so far


@dataclass(frozen=True)
class Gathered:
    """What a job trains on, and what a reader of its report should know about it."""

    table: Table
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def gather(
    config: Config, until_ms: int | None = None, since_ms: int | None = None, progress: Rows | None = None
) -> Gathered:
    """The readings that the config names, of event times before `until_ms`; or those of the topic from `since_ms` on.

    Of `topic_days` the end is `until_ms`, and the newest reading where that is None. Raises DataError where there is
    nothing to train on, ConfigError where nothing is named, TopicsError where the topic cannot be read.
    """
    training = config.training
    if since_ms is None and training.topic_days is None:
        table = files.read(training.files, list(config.readings.channels), training.columns)
        return Gathered(table if until_ms is None else _some(table.between(-EVER, until_ms), until_ms))
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise ConfigError(f"there is no time from {moment(since_ms)} to {moment(until_ms)}: give an earlier start")
    with open_store(config.topics.store, **config.topics.client) as store:
        return _Topic(config, store, progress or (lambda rows: None)).gather(since_ms, until_ms)


def _some(table: Table, until: int) -> Table:
    if not len(table):
        raise DataError(f"the files hold no readings before {moment(until)}; give older ones, or a later end")
    return table


class _Seen:
    """Readings in the making: columns that grow with every batch of records, and what else was seen."""

    def __init__(self, config: Config) -> None:
        channels = [Channel(name=name) for name in config.readings.channels]
        self._decoder = JsonDecoder(config.readings.mapping(), channels)
        self._index: dict[str, int] = {}
        self._series: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        self._time: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        self._values: list[NDArray[np.float64]] = [np.empty((0, len(channels)))]
        self._places: dict[str, set[int]] = {}
        self.records = 0
        self.dead: Counter[str] = Counter()
        self.first, self.last = EVER, -EVER  # event times, kept or not

    def take(self, records: Records, since: int, until: int) -> None:
        """Add the readings of these records whose event time is in [since, until)."""
        decoded = self._decoder.decode(RecordColumns(records.offset, records.timestamp, records.key, records.value))
        self.records += len(records)
        self.dead.update(letter.reason.value for letter in decoded.dead)
        readings = decoded.readings
        if not len(readings):
            return
        self.first, self.last = min(self.first, int(readings.time.min())), max(self.last, int(readings.time.max()))
        for name in readings.names:
            self._places.setdefault(name, set()).add(records.partition)
        rows = (readings.time >= since) & (readings.time < until)
        place = np.array([self._index.setdefault(name, len(self._index)) for name in readings.names], np.int32)
        self._series.append(place[readings.series[rows]])
        self._time.append(readings.time[rows])
        self._values.append(decoded.exact[rows])

    def table(self, since: int, until: int) -> Table:
        """The readings of [since, until); what was added is given away."""
        names = sorted(self._index)
        order = {name: at for at, name in enumerate(names)}
        place = np.array([order[name] for name in self._index], np.int64)
        series = place[np.concatenate(self._series)] if names else np.empty(0, np.int64)
        whole = Table(tuple(names), series, np.concatenate(self._time), np.concatenate(self._values))
        self._values.clear()
        return whole.between(since, until)

    def notes(self, topic: str) -> list[str]:
        """What is odd about the records."""
        torn = sorted(name for name, where in self._places.items() if len(where) > 1)
        found = [f"{topic}: {self.dead.total():,} of {self.records:,} records are no readings: {self.why()}"]
        found = found if self.dead else []
        if torn:
            found.append(f"{topic}: series in several partitions, so nobody knows their order: {some(torn, SHOWN)}")
        return found

    def why(self) -> str:
        """The dead letters' reasons, the most frequent first."""
        return ", ".join(f"{count:,} {reason}" for reason, count in self.dead.most_common())


class _Topic:
    """The topic of readings, to be read between two event times."""

    def __init__(self, config: Config, store: TopicStore, progress: Rows) -> None:
        self._config, self._store, self._progress = config, store, progress
        self._name = config.topics.readings
        if store.describe([self._name])[self._name] is None:
            raise TopicsError(
                f"the topic {self._name} does not exist at {config.topics.store}: correct $.topics.readings"
            )

    def gather(self, since: int | None, until: int | None) -> Gathered:
        """The readings of [since, until), and the times that are left out; None: as in the function `gather`."""
        days = round((self._config.training.topic_days or 0) * DAY_MS)
        # The newest reading of all may be newer than the newest one of what was written lately, but not older.
        start = (until or self._lately().last + 1) - days if since is None else since
        seen = _Seen(self._config)
        self._read(seen, self._begin(start), (start, until or EVER))
        end = until or max(seen.last, start) + 1
        start = end - days if since is None else since
        table = seen.table(start, end)
        if not len(table):
            raise self._nothing(seen, start, until)
        notes = seen.notes(self._name)
        if not self._config.training.leave_out_alerts:
            return Gathered(table, (), tuple(notes))
        left_out, odd = alerted(self._config, self._store, Span(start=start, end=end))
        known = set(table.names)
        return Gathered(table, tuple(one for one in left_out if one.series in known), (*notes, *odd))

    def _begin(self, since: int) -> Literal["earliest"] | int:
        start = since - self._config.readings.mapping().max_ahead_ms
        return start if start > 0 else "earliest"

    def _read(self, seen: _Seen, begin: Literal["earliest"] | int, span: tuple[int, int]) -> None:
        for records in everything(self._store, self._name, begin):
            seen.take(records, *span)
            self._progress(seen.records)

    def _lately(self) -> _Seen:
        """What was written lately: as far back as it takes to see a reading. Raises DataError where there is none."""
        now = time.time_ns() // 1_000_000
        for back in LATELY:
            seen = _Seen(self._config)
            self._read(seen, "earliest" if back is None else now - back, (0, 0))
            if seen.last >= 0:
                return seen
        raise self._nothing(seen, 0, None)

    def _nothing(self, seen: _Seen, start: int, until: int | None) -> DataError:
        """That there are no readings of a time, and of when there are some."""
        if not seen.records and start > 0:  # nothing was written since then: what there is, is older
            seen = self._lately()
        if seen.last >= 0:
            there = f"those that were read are of {moment(seen.first)} to {moment(seen.last)}"
        else:
            there = f"{seen.records:,} records are no readings: {seen.why()}" if seen.dead else "the topic is empty"
        to = f"to {moment(until)}" if until else "on"
        return DataError(f"{self._name} holds no readings from {moment(start)} {to}; {there}")
