"""Where records live: Kafka, or one SQLite file. Importing this room loads neither."""

from __future__ import annotations

from typing import Any

from streamae.errors import ConfigError, MissingExtra
from streamae.topics.topics import TopicStore

__all__ = ["open_store"]

_ALLOWED = "`kafka://host:port,host:port` or `embedded:///path/to/file.db`"


def open_store(url: str, **client_settings: Any) -> TopicStore:
    """Open the place that a URL names; `client_settings` go to every Kafka client (`security_protocol`, ...).

    Raises ConfigError for any other URL, MissingExtra where Kafka's client is not installed, Unreachable.
    """
    scheme, separator, place = url.partition("://")
    if not separator or not place.strip("/"):
        raise ConfigError(f"{url!r} is no place for topics: {_ALLOWED} is")
    if scheme == "embedded":
        from streamae.topics.embedded import EmbeddedStore

        return EmbeddedStore(place)
    if scheme == "kafka":
        return _open_kafka(place.rstrip("/"), client_settings)
    raise ConfigError(f"{scheme!r} in {url!r} is not known: {_ALLOWED} is")


def _open_kafka(brokers: str, client_settings: dict[str, Any]) -> TopicStore:
    try:
        from streamae.topics.kafka import KafkaStore
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "kafka":
            raise
        raise MissingExtra("topics on Kafka need kafka-python: install `streamae[serve]`") from error
    return KafkaStore(brokers, **client_settings)
