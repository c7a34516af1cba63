"""A sample of the topic of readings, decoded as the service would."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Literal

import numpy as np

from streamae.config import Config
from streamae.detection.json_records import JsonDecoder
from streamae.detection.manifest import Channel
from streamae.detection.readings import Decoded, RecordColumns
from streamae.doctor.finding import Finding
from streamae.registry import Registry
from streamae.serving.settings import Settings
from streamae.topics.topics import TopicStore

SAMPLE = 2000  # records that are looked at
SAMPLE_S = 10.0  # and for how long at the most
SKEW_MS = 5_000  # by which clocks may differ


def look_at_readings(config: Config, store: TopicStore) -> Iterator[Finding]:
    """Decode some records, with a champion or without."""
    settings = Settings.of(config)
    if store.describe([settings.readings])[settings.readings] is None:
        return
    version = Registry(config.registry).champion(config.model)
    channels = tuple(Channel(name=name) for name in config.readings.channels)
    if version is not None:
        channels = Registry(config.registry).load(config.model, version).manifest.channels
    decoder, sample = JsonDecoder(settings.mapping, channels), Sample()
    reader = store.reader(settings.readings, "earliest")
    now = time.time_ns() // 1_000_000
    try:
        until = time.monotonic() + SAMPLE_S
        while sample.seen < SAMPLE and not reader.caught_up() and time.monotonic() < until:
            for records in reader.poll(0.2):
                columns = RecordColumns(records.offset, records.timestamp, records.key, records.value)
                sample.take(decoder.decode(columns), len(records), records.partition)
                sample.newest = max(sample.newest, int(records.timestamp.max(initial=0)))
    finally:
        reader.close()
    yield from _judge_sample(sample, [channel.name for channel in channels if not channel.derived])
    if sample.newest > now + SKEW_MS:
        ahead = (sample.newest - now) / 1000
        yield Finding("warning", f"a record was written {ahead:.0f} s from now: this clock or its producer's is wrong")
    if any(f"got `str` - at `{config.readings.time}`" in detail for detail in sample.details.values()):
        yield Finding("fault", f'{config.readings.time} holds text: should $.readings.time_unit be "iso8601"?')


class Sample:
    """What was seen in some records."""

    def __init__(self) -> None:
        self.seen = 0
        self.dead = Counter[str]()  # by reason
        self.details: dict[str, str] = {}  # of the first dead letter of each reason
        self.partitions: dict[str, set[int]] = defaultdict(set)  # of each series
        self.there: set[int] = set()  # channels with a value, by their place
        self.newest = 0  # timestamp of a record, ms

    def take(self, decoded: Decoded, records: int, partition: int) -> None:
        """Take in what became of so many records of a partition."""
        self.seen += records
        for letter in decoded.dead:
            self.dead[letter.reason.value] += 1
            self.details.setdefault(letter.reason.value, letter.detail)
        for name in decoded.readings.names:
            self.partitions[name].add(partition)
        self.there.update(np.flatnonzero(~np.isnan(decoded.exact).all(axis=0)).tolist())


def _judge_sample(sample: Sample, channels: list[str]) -> Iterator[Finding]:
    if not sample.seen:
        yield Finding("warning", "there are no readings yet")
        return
    dead = sample.dead.total()
    state: Literal["ok", "warning", "fault"] = "ok" if not dead else "warning" if dead < sample.seen / 2 else "fault"
    why = "; ".join(f"{count} {reason}, as: {sample.details[reason]}" for reason, count in sample.dead.most_common())
    yield Finding(state, f"of {sample.seen} sampled records {dead} would be dead letters" + (f": {why}" if why else ""))
    silent = [name for at, name in enumerate(channels) if at not in sample.there]
    if silent and sample.partitions:
        yield Finding("fault", f"no sampled record has {', '.join(silent)}: correct their paths in $.readings.channels")
    if not sample.partitions and dead < sample.seen:
        yield Finding("fault", "no sampled record is of a series that $.readings.series selects")
    torn = sorted(name for name, where in sample.partitions.items() if len(where) > 1)
    if torn:
        yield Finding("fault", f"series in more than one partition: {', '.join(torn[:5])}; key records by series")
