"""What a subscriber sees: the records of the topics of alerts and of dead letters, as lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import msgspec
from rich.markup import escape

from streamae.config import Config
from streamae.detection.alerts import Alert
from streamae.errors import TopicsError
from streamae.topics import open_store
from streamae.topics.topics import Records

COLOURS = {"firing": "red", "resolved": "green"}


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter: where it came from, why it is none of the readings, and what it was."""

    topic: str
    partition: int  # -1 where it does not say, as with offset
    offset: int
    reason: str
    detail: str
    key: str | None
    value: str | None  # as text; bytes that are none are shown as \\x..


def alert_lines(config: Config, follow: bool, as_json: bool) -> Iterator[str]:
    """Each alert as a line, oldest first of each partition; with `follow`, without end."""
    for records in _published(config, "alerts", follow):
        for offset, value in zip(records.offset.tolist(), records.value, strict=True):
            if value is not None:
                alert = _alert(value, f"{records.topic}[{records.partition}]@{offset}")
                yield value.decode() if as_json else line(alert)


def letters(config: Config, follow: bool, reasons: Collection[str]) -> Iterator[Letter]:
    """Each dead letter, oldest first of each partition; of these reasons, where some are given."""
    for records in _published(config, "deadletters", follow):
        for key, value, headers in zip(records.key, records.value, records.headers, strict=True):
            told = {name: _text(content) or "" for name, content in headers}
            letter = Letter(
                topic=told.get("topic", ""),
                partition=_number(told.get("partition", "")),
                offset=_number(told.get("offset", "")),
                reason=told.get("reason", "unknown"),
                detail=told.get("detail", ""),
                key=_text(key),
                value=_text(value),
            )
            if not reasons or letter.reason in reasons:
                yield letter


def _alert(value: bytes, place: str) -> Alert:
    try:
        return msgspec.json.decode(value, type=Alert)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TopicsError(
            f"{place} is no alert ({error}): another program writes to this topic; it should not"
        ) from error


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else -1


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")


def _published(config: Config, kind: str, follow: bool) -> Iterator[Records]:
    topic = config.topic(kind)
    with open_store(config.topics.store, **config.topics.client) as store:
        if store.describe([topic])[topic] is None:
            raise TopicsError(f"the topic {topic} does not exist: start `streamae serve --create-topics` first")
        reader = store.reader(topic, "earliest")
        try:
            while follow or not reader.caught_up():
                yield from reader.poll(0.5)
        finally:
            reader.close()


def line(alert: Alert) -> str:
    """An alert for people."""
    until = f" to {moment(alert.end)}" if alert.end else ""
    why = f" ({alert.reason})" if alert.reason else ""
    blame = ", ".join(f"{channel.name} {channel.share:.0%}" for channel in alert.channels[:3])
    who = f"[{COLOURS[alert.state]}]{alert.state:8}[/] {escape(plain(alert.series))}"
    return (
        f"{who} since {moment(alert.start)}{until}{why}: "
        f"score {alert.peak.score:.1f}, {blame} {'' if alert.confirmed else '(unconfirmed) '}\\[{alert.id[:8]}]"
    )


def plain(text: str) -> str:
    r"""Text from a record for a terminal: what would steer it, or begin a line, is shown as an escape.

    >>> print(plain("pump\n\x1b[2J"))
    pump\n\x1b[2J
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def moment(time_ms: int) -> str:
    """An event time for people, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
