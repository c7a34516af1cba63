"""What a subscriber to alerts sees: the topic's records as lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from streamae.config import Config
from streamae.detection.alerts import Alert
from streamae.errors import TopicsError
from streamae.topics import open_store

COLOURS = {"firing": "red", "resolved": "green"}


def alert_lines(config: Config, follow: bool, as_json: bool) -> Iterator[str]:
    """Each alert as a line, oldest first of each partition; with `follow`, without end."""
    topic = config.topic("alerts")
    with open_store(config.topics.store, **config.topics.client) as store:
        if store.describe([topic])[topic] is None:
            raise TopicsError(f"the topic {topic} does not exist: start `streamae serve --create-topics` first")
        reader = store.reader(topic, "earliest")
        try:
            while follow or not reader.caught_up():
                for records in reader.poll(0.5):
                    for value in filter(None, records.value):
                        yield value.decode() if as_json else line(msgspec.json.decode(value, type=Alert))
        finally:
            reader.close()


def line(alert: Alert) -> str:
    """An alert for people."""
    until = f" to {moment(alert.end)}" if alert.end else ""
    why = f" ({alert.reason})" if alert.reason else ""
    blame = ", ".join(f"{channel.name} {channel.share:.0%}" for channel in alert.channels[:3])
    return (
        f"[{COLOURS[alert.state]}]{alert.state:8}[/] {alert.series} since {moment(alert.start)}{until}{why}: "
        f"score {alert.peak.score:.1f}, {blame} {'' if alert.confirmed else '(unconfirmed) '}\\[{alert.id[:8]}]"
    )


def moment(time_ms: int) -> str:
    """An event time for people, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
