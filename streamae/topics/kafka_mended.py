"""Parts of kafka-python that are put in place of its own, since there is no setting for what they do."""

from __future__ import annotations

import socket
from typing import Any

import kafka.consumer.group
import kafka.errors as faults
import kafka.net.compat
import kafka.net.manager
from kafka.consumer.fetcher import Fetcher
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from streamae.topics import kafka_batches
from streamae.topics.kafka_batches import Batches


class TidySocket(KafkaNetSocket):  # type: ignore[misc]
    """A plain connection whose socket is closed when it fails.

    kafka-python leaves it to the garbage collector, once for every try: a long outage would eat the file descriptors.
    """

    SCHEMES = ("direct",)

    async def sock_connect(self, net: Any, sock: socket.socket, address: Any, timeout_at: float | None = None) -> Any:
        """Connect, or close the socket."""
        try:
            return await super().sock_connect(net, sock, address, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


class _LastWords:
    """Hears what a broker says before it hangs up.

    kafka-python drops what it has read where the end is read with it: the reason why a password is refused, for one.
    """

    def _sock_recv(self) -> tuple[bytes, Exception | None]:
        data, error = super()._sock_recv()  # type: ignore[misc]
        return data, None if data else error  # the end is read again


class _PlainTransport(_LastWords, KafkaTCPTransport):  # type: ignore[misc]
    pass


class _TlsTransport(_LastWords, KafkaSSLTransport):  # type: ignore[misc]
    """Its socket is closed when the handshake fails, too."""

    async def handshake(self) -> None:
        try:
            await super().handshake()
        except BaseException:
            self._close()
            raise


class _Fetcher(Fetcher):  # type: ignore[misc]
    """Asks the new leader for offsets once the old one says that it leads no more, and bounds what a poll brings.

    kafka-python asks the old one again, at once and without end, until the caller's time is up. And it bounds the
    number of records, not their bytes: some hundred small batches can unpack to more than there is memory.
    """

    PartitionRecords = Batches

    def fetched_records(self, max_records: int | None = None, update_offsets: bool = True) -> Any:
        self._room = kafka_batches.AT_ONCE
        return super().fetched_records(max_records, update_offsets)

    def _append(self, drained: Any, part: Batches | None, max_records: int, update_offsets: bool) -> int:
        if part is None:  # a fetch that brought nothing
            return 0
        part.bounded.room = self._room
        taken: int = super()._append(drained, part, max_records, update_offsets)
        self._room = part.bounded.room
        return taken if self._room > 0 else max_records  # of which none are left to ask for

    async def _send_list_offsets_requests(self, timestamps: Any) -> Any:
        found, again = await super()._send_list_offsets_requests(timestamps)
        if again:
            raise faults.StaleMetadata  # which has the metadata refreshed before all is asked again
        return found, again


class _Coordinator(ConsumerCoordinator):  # type: ignore[misc]
    """Sees a rejoin through, once it has begun.

    kafka-python begins one when a topic's partitions have changed, and looks at each poll whether it still has to: no
    more, once it has shared them out itself. Where a poll ends before the broker has confirmed that, nobody takes the
    answer, and the member is without partitions, without heartbeats and without an error for ever.
    """

    def need_rejoin(self) -> bool:
        return bool(self.rejoining or super().need_rejoin())


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """Waits longer and longer for a broker that takes connections and hangs up, as one behind a balancer does.

    kafka-python holds a connection for made before the broker has said a word, and connects again at once.
    """

    async def _connect(
        self, node: Any, conn: Any, reset_backoff_on_connect: bool = True, timeout_at: float | None = None
    ) -> None:
        await super()._connect(node, conn, False, timeout_at)
        if not reset_backoff_on_connect:
            return
        if conn.connected:
            self.reset_backoff(node.node_id)
        elif not self.connection_delay(node.node_id):  # a refusal is counted by now
            self.update_backoff(node.node_id)


kafka.net.manager.KafkaTCPTransport, kafka.net.manager.KafkaSSLTransport = _PlainTransport, _TlsTransport
kafka.consumer.group.Fetcher = _Fetcher
kafka.consumer.group.ConsumerCoordinator = _Coordinator
kafka.net.compat.KafkaConnectionManager = _Manager
