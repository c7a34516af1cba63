"""A proxy in front of a real broker that knows where Kafka's requests begin and end, and can harm chosen ones.

A request is 4 bytes of length, then `api key: int16, api version: int16, correlation id: int32, ...`; an answer is 4
bytes of length, then the correlation id of its request.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from types import TracebackType
from typing import Literal, Self

Side = Literal["request", "answer"]
Harm = Literal["hold", "delay", "drop", "cut"]  # wait until lifted, or DELAY_S; swallow; also break the connection
DELAY_S = 0.2


class Api(IntEnum):
    """The requests that tests single out, by their numbers in the protocol."""

    PRODUCE = 0
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_FETCH = 9
    HEARTBEAT = 12
    SYNC_GROUP = 14
    API_VERSIONS = 18  # the first of each connection
    INIT_PRODUCER_ID = 22
    END_TXN = 26
    WRITE_TXN_MARKERS = 27
    TXN_OFFSET_COMMIT = 28


@dataclass
class Rule:
    """What happens to the next `times` frames of one kind, or of all; lifted at the end of its `with`."""

    api: Api | None
    side: Side | None
    harm: Harm
    times: int = 1_000_000
    frames: list[bytes] = field(default_factory=list)  # what it met
    met: threading.Event = field(default_factory=threading.Event)
    lifted: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lifted.set()

    def takes(self, api: int, side: Side) -> bool:
        """Whether this frame is one of them."""
        if self.lifted.is_set() or len(self.frames) >= self.times:
            return False
        return self.api in (None, api) and self.side in (None, side)


class _Cut(Exception):
    pass


@dataclass
class _Connection:
    client: socket.socket
    broker: socket.socket
    asked: dict[int, int] = field(default_factory=dict)  # correlation id -> api key
    ended: set[Side] = field(default_factory=set)


class Proxy:
    """Listens on a port of its own; `target` is set once the broker behind it has started."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.target = ""
        self._rules: list[Rule] = []
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._start(self._accept)

    def _start(self, run: object, *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def rule(self, api: Api | None, side: Side | None, harm: Harm, times: int = 1_000_000) -> Rule:
        """From now on, harm such frames, `times` of them; None stands for any."""
        self._rules.append(Rule(api, side, harm, times))
        return self._rules[-1]

    def reset(self) -> None:
        """Break every connection at once, as a router does that has forgotten them."""
        for each in list(self._sockets):
            if each is not self._listener:
                with suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.shutdown(socket.SHUT_RDWR)

    def deliver(self, frame: bytes) -> bytes:
        """Send a request that was caught earlier, on a connection of its own; returns the answer."""
        with self._connect() as broker:
            broker.sendall(frame)
            return _frame(broker)

    def _connect(self) -> socket.socket:
        host, port = self.target.split(":")
        return socket.create_connection((host, int(port)))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    broker = self._connect()
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, broker]
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                connection = _Connection(client, broker)
                self._start(self._pump, connection, "request")
                self._start(self._pump, connection, "answer")

    def _pump(self, connection: _Connection, side: Side) -> None:
        source, sink = connection.client, connection.broker
        if side == "answer":
            source, sink = sink, source
        with suppress(OSError, _Cut):
            while True:
                frame = _frame(source)
                if side == "request":
                    api, _, correlation = struct.unpack_from(">hhi", frame, 4)
                    connection.asked[correlation] = api
                else:
                    api = connection.asked.pop(struct.unpack_from(">i", frame, 4)[0], -1)
                if self._passes(api, side, frame):
                    sink.sendall(frame)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._forget(connection, side)

    def _forget(self, connection: _Connection, side: Side) -> None:
        """Close the sockets once both ways have ended: a long run makes thousands of connections."""
        with self._lock:
            connection.ended.add(side)
            if len(connection.ended) == 2:
                for each in (connection.client, connection.broker):
                    self._sockets.remove(each)
                    each.close()

    def _passes(self, api: int, side: Side, frame: bytes) -> bool:
        rule = next((rule for rule in self._rules if rule.takes(api, side)), None)
        if rule is None:
            return True
        rule.frames.append(frame)
        rule.met.set()
        if rule.harm == "cut":
            raise _Cut
        if rule.harm in ("hold", "delay"):
            rule.lifted.wait(None if rule.harm == "hold" else DELAY_S)
            return True
        return False

    def close(self) -> None:
        """Break every connection and end every thread."""
        for rule in self._rules:
            rule.lifted.set()
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for each in self._sockets:
            each.close()


def _frame(source: socket.socket) -> bytes:
    head = _exactly(source, 4)
    return head + _exactly(source, struct.unpack(">i", head)[0])


def _exactly(source: socket.socket, count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = source.recv(min(count, 1 << 16))
        if not part:
            raise _Cut
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
