"""What every Kafka client here shares: settings, connecting with a telling error, and the private parts guards use.

kafka-python is imported in the files named `kafka*.py` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kafka
import kafka.errors as faults
import numpy as np
from kafka import TopicPartition

from streamae.errors import ConfigError, Fenced, RecordsGone, StreamaeError, Unreachable
from streamae.topics.kafka_log import cause, cure, heard
from streamae.topics.kafka_mended import TidySocket
from streamae.topics.topics import Records

_SECRETS = frozenset({"sasl_plain_password", "ssl_password", "proxy_url", "socks5_proxy"})
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_BY_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, in ms. Every wait of these clients ends by one of them."""

    session: int = 10_000  # a member that is silent for this long has lost its partitions
    heartbeat: int = 1_500  # one may be lost: two of them and the wait for an answer are shorter than the session
    poll_interval: int = 60_000  # kafka-python uses it as the rebalance timeout too: minutes would block everyone
    transaction: int = 10_000  # near the session: an open transaction of the dead holds up readers and the next owner
    delivery: int = 8_000
    request: int = 5_000
    bootstrap: int = 10_000
    undecided: int = 300  # how long to wait for an offset that an open transaction may still change
    retry: int = 20  # the stock 100 ms is slept after every commit that is followed by another transaction at once


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster: addresses, what the user set for every client, and the timing."""

    brokers: str
    settings: Mapping[str, Any]
    timing: Timing

    def __post_init__(self) -> None:
        # kafka-python takes any word for "no security", and finds a missing file only when it connects.
        protocol = self.settings.get("security_protocol", "PLAINTEXT")
        if protocol not in _PROTOCOLS:
            raise ConfigError(f"security_protocol is {protocol!r}: one of {', '.join(_PROTOCOLS)} is allowed")
        if protocol.startswith("SASL") and self.settings.get("sasl_mechanism") not in _BY_PASSWORD:
            raise ConfigError(f"sasl_mechanism: with {protocol}, one of {', '.join(_BY_PASSWORD)} is needed")
        for name in ("sasl_plain_username", "sasl_plain_password") if protocol.startswith("SASL") else ():
            if not self.settings.get(name):
                raise ConfigError(f"{name} is needed with {protocol}")
        for name in _FILES:
            path = self.settings.get(name)
            if path is not None and not Path(path).is_file():
                raise ConfigError(f"{name}: there is no file {str(path)!r}")

    def common(self) -> dict[str, Any]:
        """Settings of consumers, producers and admin clients alike."""
        timing = self.timing
        return {
            "bootstrap_servers": [broker.strip() for broker in self.brokers.split(",")],
            "retry_backoff_ms": timing.retry,
            "reconnect_backoff_max_ms": 1_000,
            "proxy_url": f"{TidySocket.SCHEMES[0]}://",
            **self.settings,
        }

    def consumer(self, **settings: Any) -> Any:
        """A consumer of bytes that never resets its offsets by itself and never commits by itself."""
        # read_committed even where the input is not transactional: it is also the only switch that makes the offset
        # fetch wait for a commit that is being written; without it a restart may begin at the offset before.
        # auto_offset_reset none: otherwise records that retention deleted are skipped without a word.
        # No deserialisers, ever: an exception inside one makes every later poll spin without end.
        # Until its request has timed out, a heartbeat that is lost is not followed by another.
        stock = {
            "request_timeout_ms": self.timing.request,
            "isolation_level": "read_committed",
            "auto_offset_reset": "none",
            "enable_auto_commit": False,
            "check_crcs": True,
            "allow_auto_create_topics": False,
            "metadata_max_age_ms": 30_000,
        }
        return self.connect(kafka.KafkaConsumer, **{**stock, **settings})

    def connect(self, kind: Callable[..., Any], **settings: Any) -> Any:
        """Make a client, or say why it cannot be made.

        Raises Unreachable where the cause may go away by itself, ConfigError where it will not.
        """
        # Not in one go: what never passes, as a wrong password, would be tried again and again until the end.
        quick = self.timing.bootstrap // 6
        for patience in (quick, 2 * quick):
            with suppress(Unreachable):
                return self._connect(kind, patience, settings)
        return self._connect(kind, self.timing.bootstrap - 3 * quick, settings)

    def _connect(self, kind: Callable[..., Any], patience_ms: int, settings: Mapping[str, Any]) -> Any:
        made: list[Any] = []

        def network(**config: Any) -> Any:
            made.append(kind.DEFAULT_CONFIG["kafka_client"](**config))  # type: ignore[attr-defined]
            return made[-1]

        with heard() as lines:
            try:
                common = {"kafka_client": network, **self.common(), "bootstrap_timeout_ms": patience_ms}
                return kind(**{**common, **settings})
            except (faults.KafkaError, TypeError, ValueError, OSError, AssertionError) as error:
                for client in made:  # a constructor that fails leaves its network thread and sockets behind
                    _abandon(client)
                raise self._refusal(error, lines) from error

    def _refusal(self, error: Exception, lines: list[str]) -> StreamaeError:
        if not isinstance(error, faults.KafkaError) or isinstance(error, faults.KafkaConfigurationError):
            return ConfigError(self._clean(f"the settings for Kafka cannot be used: {error}"))
        reason = cause(lines) or str(error)
        advice, passes = cure(reason)
        told = self._clean(f"Kafka at {self.brokers} cannot be used: {reason}: {advice}")
        return Unreachable(told) if passes else ConfigError(told)

    def _clean(self, text: str) -> str:
        for name in _SECRETS:
            secret = self.settings.get(name)
            if secret:
                text = re.sub(rf"(?<!\w){re.escape(str(secret))}(?!\w)", "***", text)
        return text


def _abandon(client: Any) -> None:
    with suppress(Exception):
        client.close()
    with suppress(Exception):
        client._manager._net.stop()


@contextmanager
def asked(what: str) -> Iterator[None]:
    """Turn kafka-python's errors into ours. `what` says what was asked of whom."""
    try:
        yield
    except faults.OffsetOutOfRangeError as error:
        raise RecordsGone(
            f"{what}: {error}. Retention deleted these records: keep them for longer, or start anew from what is there"
        ) from error
    except (faults.FencedInstanceIdError, faults.ProducerFencedError) as error:
        raise Fenced(f"{what}: another process has started in this one's place ({error})") from error
    except faults.AuthorizationError as error:
        raise Unreachable(f"{what}: {forbidden(error)}") from error
    except faults.KafkaError as error:
        raise Unreachable(f"{what}: {error!r}") from error


def forbidden(error: Exception) -> str:
    """What a refusal for lack of a permission means to whoever can give it."""
    return f"not allowed ({error}): give this user the permission"


def columns(tp: TopicPartition, found: list[Any], headers: bool = False) -> Records:
    """kafka-python's records of one partition as columns, with their headers or without."""
    count = len(found)
    return Records(
        tp.topic,
        tp.partition,
        np.fromiter((record.offset for record in found), np.int64, count),
        np.fromiter((record.timestamp for record in found), np.int64, count),
        [record.key for record in found],
        [record.value for record in found],
        [tuple(record.headers) for record in found] if headers else [],
    )
