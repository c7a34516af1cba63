"""What came out of a service, and how it compares with what should have come out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from streamae.detection.alerts import Alert
from streamae.serving.made import TOPICS
from streamae.serving.outputs import PackedScores
from tests.serving.stand import Stand

VERSION = re.compile(rb'"version":"[^"]*",')
Facts = dict[Hashable, list[object]]  # what a record is about -> the contents under which it was published


class Compared(NamedTuple):
    """How many things of one kind were compared, and what became of them."""

    compared: int
    lost: int
    doubled: int
    different: int  # or never to be there at all

    @property
    def equal(self) -> bool:
        """Whether nothing is amiss."""
        return not (self.lost or self.doubled or self.different)


@dataclass(frozen=True)
class Outcome:
    """Everything committed on a service's topics, by kind."""

    kinds: dict[str, Facts]

    @classmethod
    def of(cls, stand: Stand, versions: bool = True, letters: bool = True) -> Outcome:
        """Read it as a subscriber does: committed records only; with versions and dead letters, or without."""
        alerts = [(partition, value or b"") for partition, _, value in stand.read("alerts")]
        scores = [
            row for partition, _, value in stand.read("scores") for row in _windows(partition, value or b"", versions)
        ]
        made = {topic: stand.read(topic) for topic in map(TOPICS.__getitem__, stand.config.serving.uses)}
        dead = stand.read("deadletters") if letters else []
        return cls(
            {
                "alerts": _facts(_alert(partition, value, versions) for partition, value in alerts),
                "order": _facts(_order(alerts)),
                "scores": _facts(scores),
                "dead letters": _facts(((partition, value), key) for partition, key, value in dead),
                **{topic: _facts(_made(*record, versions) for record in records) for topic, records in made.items()},
            }
        )

    def against(self, wanted: Outcome) -> dict[str, Compared]:
        """This outcome beside the one that was wanted."""
        return {kind: compare(facts, wanted.kinds[kind]) for kind, facts in self.kinds.items()}

    def equals(self, wanted: Outcome) -> bool:
        """Whether nothing was lost, doubled or different."""
        return all(compared.equal for compared in self.against(wanted).values())


def compare(found: Facts, wanted: Facts) -> Compared:
    """What was found beside what was wanted."""
    both = found.keys() & wanted.keys()
    return Compared(
        compared=len(wanted),
        lost=len(wanted.keys() - found.keys()),
        doubled=sum(len(contents) > len(wanted.get(about, [0])) for about, contents in found.items()),
        different=len(found.keys() - wanted.keys()) + sum(set(found[about]) != set(wanted[about]) for about in both),
    )


def _facts(pairs: Iterable[tuple[Hashable, object]]) -> Facts:
    facts: Facts = defaultdict(list)
    for about, content in pairs:
        facts[about].append(content)
    return dict(facts)


def _alert(partition: int, value: bytes, versions: bool) -> tuple[Hashable, object]:
    alert = msgspec.json.decode(value, type=Alert)
    return (partition, alert.id, alert.state), value if versions else msgspec.structs.replace(alert, version="")


def _made(partition: int, key: bytes | None, value: bytes | None, versions: bool) -> tuple[Hashable, object]:
    """A record of one of the uses; its numbers as the text that they came as."""
    content = (value or b"") if versions else VERSION.sub(b"", value or b"")
    return (partition, key, msgspec.json.decode(value or b"")["start"]), content


def _order(alerts: list[tuple[int, bytes]]) -> list[tuple[Hashable, object]]:
    """The order in which each series' alerts were published."""
    by_series: dict[str, list[str]] = defaultdict(list)
    for _, value in alerts:
        alert = msgspec.json.decode(value, type=Alert)
        by_series[alert.series].append(f"{alert.id} {alert.state}")
    return [(series, tuple(sequence)) for series, sequence in by_series.items()]


def _windows(partition: int, value: bytes, versions: bool) -> list[tuple[Hashable, object]]:
    """The windows of a packed record; scores as their bits."""
    packed = msgspec.msgpack.decode(value, type=PackedScores)
    start, end, score, settled = (
        np.frombuffer(column, "<i8").tolist() for column in (packed.start, packed.end, packed.score, packed.settled)
    )
    errors = np.frombuffer(packed.channel_error, "<u4").reshape(len(start), -1).tolist()
    return [
        ((partition, series, begin), (*rest, tuple(channels), packed.version if versions else ""))
        for series, begin, *rest, channels in zip(packed.series, start, end, score, settled, errors, strict=True)
    ]
