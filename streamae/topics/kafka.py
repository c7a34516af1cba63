"""Topics on Apache Kafka, through kafka-python with a guard for each of its known faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar

import kafka.errors as faults
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec

from streamae.errors import TopicsError
from streamae.topics.kafka_client import Access, Timing, asked
from streamae.topics.kafka_log import quieten
from streamae.topics.kafka_private import probe
from streamae.topics.kafka_producer import KafkaWriter
from streamae.topics.kafka_reader import KafkaReader
from streamae.topics.kafka_sink import KafkaSink
from streamae.topics.kafka_source import KafkaSource
from streamae.topics.topics import Sink, Source, Standing, TopicSpec

OLDEST = (2, 5)  # of brokers
_Answer = TypeVar("_Answer")


class _Closable(Protocol):
    def close(self) -> None: ...


_End = TypeVar("_End", bound=_Closable)


class KafkaStore:
    """Topics on a Kafka cluster.

    `brokers` is `host:port,host:port`; `client_settings` go to every client as kafka-python names them
    (`security_protocol`, `sasl_mechanism`, `ssl_cafile`, ...). Nothing is connected before it is needed.
    """

    def __init__(self, brokers: str, *, timing: Timing | None = None, **client_settings: Any) -> None:
        probe()
        quieten()
        self._access = Access(brokers, client_settings, timing or Timing())
        self._opened: list[_Closable] = []

    def source(self, topic: str, group: str, instance: str) -> KafkaSource:
        """Join `group` as its member `instance`."""
        self._partitions(topic)
        return self._kept(KafkaSource(self._access, topic, group, instance))

    def sink(self, source: Source, group: str, instance: str) -> Sink:
        """The sink of that member."""
        if not isinstance(source, KafkaSource):
            raise TypeError("the sink of a Kafka store takes a source of a Kafka store")
        return self._kept(KafkaSink(self._access, source, instance))

    def reader(self, topic: str, start: Literal["earliest", "latest"] | int) -> KafkaReader:
        """Subscribe from the start, the end, or a time in ms since the epoch."""
        tps = [TopicPartition(topic, partition) for partition in range(self._partitions(topic))]
        # Read uncommitted: right after a commit its marker may still be missing in some partitions, and a reader that
        # went by the last stable offset would believe itself caught up without those records.
        ends = self._admin(
            f"the offsets of {topic}",
            lambda admin: admin.list_partition_offsets(dict.fromkeys(tps, OffsetSpec.LATEST)),
        )
        targets = {tp.partition: ends[tp].offset for tp in tps}
        return self._kept(KafkaReader(self._access, topic, targets, start))

    def writer(self) -> KafkaWriter:
        """A plain producer."""
        return self._kept(KafkaWriter(self._access))

    def describe(self, names: Sequence[str]) -> dict[str, TopicSpec | None]:
        """Each topic as it is, with the settings that are not the broker's; None where there is none."""
        return self._admin("describing topics", lambda admin: _describe(admin, names))

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is not there yet; what is there stays as it is. Replication is the broker's default."""
        self._admin("creating topics", lambda admin: _create(admin, specs))

    def standing(self, names: Sequence[str]) -> dict[str, Standing]:
        """How the topics that are there stand."""
        return self._admin("describing topics", lambda admin: _standing(admin, names))

    def obstacles(self, group: str, instance: str) -> list[str]:
        """What keeps anyone from being that member, each with its cure. Raises Unreachable."""
        return self._admin("describing the cluster", lambda admin: list(_obstacles(admin, group, instance)))

    def about(self) -> str:
        """One line for people."""
        cluster = self._admin(
            "describing the cluster", lambda admin: (admin.describe_cluster(), admin._manager.broker_version)
        )
        brokers, version = len(cluster[0]["brokers"]), ".".join(map(str, cluster[1]))
        return f"Kafka at {self._access.brokers} ({brokers} broker{'s' * (brokers != 1)}, {version} or newer)"

    def close(self) -> None:
        """Let go of everything opened here."""
        for end in self._opened:
            end.close()
        self._opened.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _kept(self, end: _End) -> _End:
        self._opened.append(end)
        return end

    def _partitions(self, topic: str) -> int:
        spec = self.describe([topic])[topic]
        if spec is None:
            raise TopicsError(f"Kafka at {self._access.brokers} has no topic {topic!r}: create it first")
        return spec.partitions

    def _admin(self, what: str, ask: Callable[[Any], _Answer]) -> _Answer:
        # A client for each question: they are rare, and one that stays idle would have to be renewed after an outage.
        admin = self._access.connect(KafkaAdminClient, request_timeout_ms=self._access.timing.request)
        try:
            with asked(what):
                return ask(admin)
        finally:
            admin.close()


def _describe(admin: Any, names: Sequence[str]) -> dict[str, TopicSpec | None]:
    found: dict[str, TopicSpec | None] = dict.fromkeys(names)
    answers = admin.describe_topics(list(names)) if names else []
    refused = [topic["name"] for topic in answers if topic["error_code"] == faults.TopicAuthorizationFailedError.errno]
    if refused:
        raise faults.TopicAuthorizationFailedError(f"DESCRIBE {', '.join(refused)}")
    known = [topic for topic in answers if topic["error_code"] == 0]
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic["name"]) for topic in known]
    settings = admin.describe_configs(resources).get("topic", {}) if resources else {}
    for topic in known:
        own = {
            name: entry["value"]
            for name, entry in settings.get(topic["name"], {}).items()
            if entry["config_source"] == "DYNAMIC_TOPIC_CONFIG"
        }
        found[topic["name"]] = TopicSpec(topic["name"], len(topic["partitions"]), own)
    return found


def _standing(admin: Any, names: Sequence[str]) -> dict[str, Standing]:
    brokers = len(admin.describe_cluster()["brokers"])
    found = {}
    for topic in [topic for topic in admin.describe_topics(list(names)) if topic["error_code"] == 0]:
        described = admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic["name"])], config_filter="all"
        )
        copies = [len(partition["replica_nodes"]) for partition in topic["partitions"]]
        in_sync = [len(partition["isr_nodes"]) for partition in topic["partitions"]]
        least = int(described["topic"][topic["name"]]["min.insync.replicas"]["value"])
        allowed = frozenset(topic["authorized_operations"] or ())
        found[topic["name"]] = Standing(min(copies), min(in_sync), least, brokers, allowed)
    return found


def _obstacles(admin: Any, group: str, instance: str) -> Iterator[str]:
    if admin._manager.broker_version < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        yield f"the brokers are older than Kafka {wanted}, which brought transactions by group membership: renew them"
    # What is new to the broker may have no coordinator yet; that is no refusal.
    with suppress(faults.CoordinatorNotAvailableError):
        if not _may_read(admin, group):
            yield f"not allowed to READ the group {group}: give this user the permission"
    with suppress(faults.CoordinatorNotAvailableError, faults.TransactionalIdNotFoundError):
        try:
            admin.describe_transactions([f"{group}-{instance}"])  # there is no way to ask whether it may be written
        except faults.TransactionalIdAuthorizationFailedError:
            yield f"not allowed to WRITE as the transactional id {group}-{instance}: give this user the permission"


def _may_read(admin: Any, group: str) -> bool:
    try:
        allowed = admin.describe_groups([group])[group]["authorized_operations"]
    except faults.GroupAuthorizationFailedError:
        return False
    return allowed is None or "READ" in allowed  # None: the group is new


def _create(admin: Any, specs: Sequence[TopicSpec]) -> None:
    for name, partitions, settings in specs:
        try:
            admin.create_topics({name: {"num_partitions": partitions, "configs": dict(settings)}})
        except faults.TopicAlreadyExistsError:
            continue
        except (faults.InvalidTopicError, faults.InvalidConfigurationError, faults.InvalidPartitionsError) as error:
            raise TopicsError(f"topic {name!r} cannot be created: {error}") from error
    admin.wait_for_topics([spec.name for spec in specs])
