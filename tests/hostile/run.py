"""A run: hostile records among good readings on a real broker, and the same good readings alone.

Each is served by a process of its own. Windows, scores and alerts of the two must be equal, and the dead letters of
the first must be those that its records were made to be.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import confluent_kafka
import msgspec

from streamae.detection.alerts import Alert, Offsets
from tests.graphs import tiny_artifact
from tests.hostile.mixture import alone, mixed
from tests.hostile.records import PARTITIONS, SETTINGS, Fate, Record
from tests.hostile.served import NOTHING, Served, serve
from tests.serving.outcome import Compared, Facts, Outcome, compare
from tests.serving.stand import Stand, at

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
CHUNK = 2_000  # records in memory, and of one codec


@dataclass
class Found:
    """What became of a run."""

    strict: bool
    published: Counter[tuple[str, Fate]] = field(default_factory=Counter)
    missed: Counter[tuple[str, Fate]] = field(default_factory=Counter)  # records that did not meet their fate
    compared: dict[str, Compared] = field(default_factory=dict)
    good: int = 0
    mixed: Served = NOTHING
    alone: Served = NOTHING

    @property
    def equal(self) -> bool:
        """Whether every record met its fate, and no good reading was touched."""
        return not self.missed and bool(self.compared) and all(one.equal for one in self.compared.values())

    @property
    def undisturbed(self) -> bool:
        """Whether neither process was ever started again, and the metrics told of every record."""
        skipped = sum(count for (_, fate), count in self.published.items() if fate == "skipped")
        told = (self.mixed.handled, self.mixed.skipped) == (self.published.total(), skipped)
        return told and self.mixed.starts == self.alone.starts == 1


class Letter(NamedTuple):
    """A dead letter as it should be."""

    kind: str
    reason: Fate
    content: bytes


class Run:
    """One run over about so many records."""

    def __init__(self, url: str, folder: Path, records: int, seed: int, strict: bool) -> None:
        self.found = Found(strict)
        self._url, self._folder, self._records, self._seed = url, folder, records, seed
        self._letters: dict[tuple[int, int], Letter] = {}  # by partition and offset

    def finish(self) -> Found:
        """Publish, serve and compare. Raises AssertionError where a process does not come to its end."""
        found, size = self.found, (self._seed, self._records)
        hostile, good = self._stand("hostile"), self._stand("good")
        try:
            found.mixed = serve(hostile, publish(hostile, self._noted(mixed(*size, found.strict))))
            ends = publish(good, alone(*size))
            found.good, found.alone = sum(ends.values()), serve(good, ends)
            self._check(hostile)
            wanted, seen = (Outcome.of(stand, letters=False).kinds for stand in (good, hostile))
            found.compared["scores"] = compare(seen["scores"], wanted["scores"])
            found.compared["alerts"] = compare(*(_without_offsets(kinds["alerts"]) for kinds in (seen, wanted)))
        finally:
            hostile.close()
            good.close()
        return found

    def _stand(self, kind: str) -> Stand:
        settings = {**SETTINGS, "readings": {**SETTINGS["readings"], "strict": self.found.strict}}
        name = f"{kind}-{self._seed}-{time.time_ns() % 10**9}"
        stand = Stand(self._url, name, self._folder, PARTITIONS, settings)
        stand.champion(tiny_artifact(length=16, stride=4))
        return stand

    def _noted(self, records: Iterable[Record]) -> Iterator[Record]:
        ends = [0] * PARTITIONS
        for record in records:
            kind, fate, partition, key, value, _ = record
            self.found.published[kind.name, fate] += 1
            if fate not in ("reading", "skipped", "silence"):
                self._letters[partition, ends[partition]] = Letter(kind.name, fate, _digest(key, value))
            ends[partition] += 1
            yield record

    def _check(self, stand: Stand) -> None:
        """Hold the dead letters against those that were expected."""
        expected, reader = dict(self._letters), stand.store.reader(stand.config.topic("deadletters"), "earliest")
        while not reader.caught_up():
            for records in reader.poll(0.5):
                for key, value, headers in zip(records.key, records.value, records.headers, strict=True):
                    told = {name: content.decode() for name, content in headers}
                    letter = expected.pop((int(told["partition"]), int(told["offset"])), None)
                    if letter is None or (told["reason"], _digest(key, value)) != letter[1:]:
                        self.found.missed[letter.kind if letter else "no dead letter", told["reason"]] += 1  # type: ignore[index]
        reader.close()
        self.found.missed.update((letter.kind, letter.reason) for letter in expected.values())


def _digest(key: bytes | None, value: bytes | None) -> bytes:
    if key is None and value is None:
        value = b""  # what cannot be written as it was
    return hashlib.blake2b(repr((key, value)).encode(), digest_size=12).digest()


def _without_offsets(alerts: Facts) -> Facts:
    nowhere = Offsets("", 0, 0, 0)
    read = {
        about: [msgspec.json.decode(content, type=Alert) for content in found if isinstance(content, bytes)]
        for about, found in alerts.items()
    }
    return {about: [msgspec.structs.replace(one, source=nowhere) for one in found] for about, found in read.items()}


def publish(stand: Stand, records: Iterator[Record]) -> dict[int, int]:
    """Write records in order, in chunks of one codec after another; the number of records of each partition."""
    topic, ends, failed = stand.config.topics.readings, dict.fromkeys(range(PARTITIONS), 0), []
    address = stand.url.removeprefix("kafka://")
    common = {"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 20, "message.max.bytes": 1_000_000}
    producers = [confluent_kafka.Producer({**common, "compression.type": codec}) for codec in CODECS]
    for producer in cycle(producers):
        chunk = list(islice(records, CHUNK))
        for kind, _, partition, key, value, tick in chunk:
            sent = {"partition": partition, "timestamp": at(tick), "headers": list(kind.headers)}
            producer.produce(
                topic, value, key, **sent, on_delivery=lambda error, _: failed.append(error) if error else None
            )
            ends[partition] += 1
        assert producer.flush(60) == 0 and not failed, failed[:3]
        if len(chunk) < CHUNK:
            return ends
    raise AssertionError
