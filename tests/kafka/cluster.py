"""Three real brokers that are one cluster, each behind a proxy that can harm what clients send to it and hear from it.

Brokers and controllers speak to each other directly; clients are told the addresses of the proxies.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from tests.kafka.broker import SETTINGS as ALONE
from tests.kafka.broker import Broker, free_ports
from tests.kafka.proxy import Proxy

PATIENCE_S = 60.0
KEPT = {  # how many partitions an internal topic has
    "__consumer_offsets": ALONE["offsets.topic.num.partitions"],
    "__transaction_state": ALONE["transaction.state.log.num.partitions"],
}
NODES = 3
SETTINGS = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "DIRECT",
    "broker.session.timeout.ms": "3000",  # after which others lead what a dead broker has led
    "broker.heartbeat.interval.ms": "500",
    "replica.lag.time.max.ms": "3000",
    "replica.fetch.wait.max.ms": "100",
}


class Cluster:
    """The cluster; it runs within a `with`."""

    def __init__(self) -> None:
        self.brokers = [Broker(SETTINGS, number) for number in range(1, NODES + 1)]
        self.proxies = [Proxy() for _ in self.brokers]
        voters = ",".join(f"{one.number}@{one.controller}" for one in self.brokers)
        self._direct = [f"127.0.0.1:{port}" for port in free_ports(NODES)]
        for broker, proxy, direct in zip(self.brokers, self.proxies, self._direct, strict=True):
            proxy.target = broker.address
            broker.settings |= {
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://{broker.address},DIRECT://{direct},CONTROLLER://{broker.controller}",
                "advertised.listeners": f"PLAINTEXT://{proxy.address},DIRECT://{direct}",
            }

    @property
    def address(self) -> str:
        """The brokers, as a client is told: through the proxies."""
        return ",".join(proxy.address for proxy in self.proxies)

    def __enter__(self) -> Self:
        try:
            for broker in self.brokers:
                broker.launch()
            for broker in self.brokers:
                broker.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all of it and remove the data."""
        for proxy in self.proxies:
            proxy.close()
        for broker in self.brokers:
            broker.stop()

    @property
    def direct(self) -> str:
        """The brokers, for those whom no proxy harms."""
        return ",".join(self._direct)

    def controller(self) -> Broker:
        """The node that leads the controllers."""
        quorum = self._ask(lambda admin: admin.describe_metadata_quorum())
        return self._numbered(quorum["topics"][0]["partitions"][0]["leader_id"])

    def leader(self, topic: str, partition: int) -> Broker:
        """The node that leads a partition."""
        (described,) = self._ask(lambda admin: admin.describe_topics([topic]))
        (found,) = (one for one in described["partitions"] if one["partition_index"] == partition)
        return self._numbered(found["leader_id"])

    def coordinator(self, topic: str, name: str) -> Broker:
        """The node that keeps a group or a transactional id, by the internal topic that does."""
        return self.leader(topic, _java_hash(name) % int(KEPT[topic]))

    def move_leaders(self, topic: str, partitions: int) -> None:
        """Have every partition led by another node: the next of its replicas becomes the preferred one."""
        (described,) = self._ask(lambda admin: admin.describe_topics([topic]))
        replicas = {
            TopicPartition(topic, one["partition_index"]): one["replica_nodes"] for one in described["partitions"]
        }
        turned = {tp: [*nodes[1:], nodes[0]] for tp, nodes in replicas.items()}
        self._ask(lambda admin: admin.alter_partition_reassignments(turned))
        everything = {topic: list(range(partitions))}
        self._ask(lambda admin: admin.elect_leaders(0, everything, raise_errors=False))

    def committed(self, group: str) -> dict[int, int]:
        """The offsets that a group has committed, by partition."""
        found = self._ask(lambda admin: admin.list_group_offsets(group))[group]
        return {tp.partition: kept.offset for tp, kept in found.items()}

    def ends(self, topic: str, partitions: int) -> dict[int, int]:
        """Where each partition of a topic ends now."""
        latest = {TopicPartition(topic, number): OffsetSpec.LATEST for number in range(partitions)}
        return {
            tp.partition: found.offset
            for tp, found in self._ask(lambda admin: admin.list_partition_offsets(latest)).items()
        }

    def _numbered(self, number: int) -> Broker:
        return next(broker for broker in self.brokers if broker.number == number)

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        """An answer of the cluster; asked again while it is busy with a fault. Raises KafkaError after PATIENCE_S."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                admin = KafkaAdminClient(bootstrap_servers=self._direct, request_timeout_ms=5_000)
                try:
                    return question(admin)
                finally:
                    admin.close()
            except KafkaError:
                if time.monotonic() > until:
                    raise
                threading.Event().wait(0.1)


def _java_hash(text: str) -> int:
    """Java's hash of a string, without its sign."""
    value = 0
    for letter in text:
        value = (31 * value + ord(letter)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF
