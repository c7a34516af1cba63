"""Episodes: the times that a service has alerted on, to be left out of what its next model learns from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

import msgspec

from streamae.config import Config
from streamae.detection.alerts import Alert
from streamae.detection.manifest import Span
from streamae.errors import Unreachable
from streamae.topics.topics import Records, TopicStore
from streamae.training.series import LeftOut

QUIET_S = 120.0  # without any record, though there are more: longer than a transaction under way may take


def alerted(config: Config, store: TopicStore, span: Span) -> tuple[tuple[LeftOut, ...], list[str]]:
    """The episodes of the config's model that reach into a span, cut to it, by series and time; and what is odd.

    Of an episode the newest record counts; one that is still firing lasts until the span ends. Raises TopicsError.
    """
    topic = config.topic("alerts")
    if store.describe([topic])[topic] is None:
        return (), []
    newest: dict[str, Alert] = {}
    odd = 0
    for records in everything(store, topic, "earliest"):
        for value in records.value:
            try:
                alert = msgspec.json.decode(value or b"", type=Alert)
            except (msgspec.DecodeError, UnicodeDecodeError):
                odd += 1
                continue
            if alert.model == config.model:
                newest[alert.id] = alert
    ends = [(one, span.end if one.end is None else min(one.end, span.end)) for one in newest.values()]
    found = [LeftOut(one.series, max(one.start, span.start), end) for one, end in ends]
    notes = [f"{topic}: {odd:,} records are no alerts, and were passed over"] if odd else []
    return tuple(sorted(one for one in found if one.end > one.start)), notes


def everything(store: TopicStore, topic: str, start: Literal["earliest"] | int) -> Iterator[Records]:
    """All records of a topic from a record timestamp (ms) on, to what is its end now.

    Raises Unreachable where the rest does not come.
    """
    reader = store.reader(topic, start)
    try:
        heard = time.monotonic()
        while not reader.caught_up():
            if found := reader.poll(0.5):
                yield from found
                heard = time.monotonic()
            elif time.monotonic() - heard > QUIET_S:
                raise Unreachable(
                    f"{topic}: nothing came within {QUIET_S:g} s, though there is more to read; "
                    "look at its brokers, or at a transaction that a producer left open, and try again"
                )
    finally:
        reader.close()
