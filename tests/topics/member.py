"""A member of a group, as the tests of both stores play it. No sleeps: every wait has a condition and a deadline."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from streamae.errors import Unreachable
from streamae.topics.topics import Output, Position, Reader, Records, Sink, Source, TopicSpec, TopicStore

PATIENCE_S = 30.0
_T = TypeVar("_T")


def eventually(ask: Callable[[], _T], patience_s: float = PATIENCE_S) -> _T:
    """The first answer that is true; what is Unreachable meanwhile is asked again."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except Unreachable:
            pass
    raise AssertionError(f"nothing within {patience_s} s from {ask}")


def values(batches: Iterable[Records]) -> list[bytes | None]:
    """All values, in the order in which they came."""
    return [value for records in batches for value in records.value]


@contextmanager
def no_socket_left() -> Iterator[None]:
    """What is opened inside is closed by its end, and not by the garbage collector some time later."""
    gc.disable()
    try:
        before = _sockets()
        yield
        assert _sockets() <= before
    finally:
        gc.enable()


def _sockets() -> set[int]:
    """The descriptors of all sockets that are open."""
    return {one.fileno() for one in gc.get_objects() if issubclass(type(one), socket.socket)} - {-1}


@dataclass
class Member:
    """A source and its sink."""

    source: Source
    sink: Sink

    def assigned(self) -> frozenset[int]:
        """Poll until partitions come."""
        return eventually(lambda: self.source.poll(0.1).assigned)

    def committed(self, partition: int) -> Position | None:
        """What is committed, once it is decided."""
        return eventually(lambda: (self.source.committed(partition),))[0]

    def take(self, count: int) -> list[Records]:
        """Poll until `count` records came."""
        batches: list[Records] = []

        def enough() -> bool:
            batches.extend(self.source.poll(0.1).records)
            return sum(map(len, batches)) >= count

        eventually(enough)
        return batches

    def publish(self, outputs: list[Output], positions: dict[int, Position]) -> list[int]:
        """One transaction."""
        self.sink.begin()
        offsets = self.sink.send(outputs)
        self.sink.commit(positions)
        return offsets


@dataclass
class Stage:
    """A store with fresh topics."""

    store: TopicStore
    readings: str
    alerts: str
    group: str

    @classmethod
    def set(cls, store: TopicStore, fresh: Callable[[str], str]) -> Stage:
        """Create the topics."""
        names = fresh("readings"), fresh("alerts")
        store.create([TopicSpec(name, 2) for name in names])
        return cls(store, *names, fresh("group"))

    def write(self, *outputs: Output) -> None:
        """Write to any topic, outside transactions."""
        writer = self.store.writer()
        writer.write(outputs)
        writer.close()

    def fill(self, count: int, partition: int = 0) -> list[bytes]:
        """Readings in one partition."""
        wanted = [b"reading-%d" % number for number in range(count)]
        self.write(
            *(Output(self.readings, b"pump", value, partition, timestamp=1_000 + i) for i, value in enumerate(wanted))
        )
        return wanted

    def member(self, instance: str = "one") -> Member:
        """Join the group."""
        source = self.store.source(self.readings, self.group, instance)
        return Member(source, self.store.sink(source, self.group, instance))

    def running(self, count: int = 0) -> Member:
        """A member whose partitions run from the start, after `count` readings were written."""
        self.fill(count) if count else None
        member = self.member()
        for partition in sorted(member.assigned()):
            member.source.resume(partition, 0)
        return member

    def everything(self, topic: str) -> list[bytes | None]:
        """What a subscriber sees of a topic from its start until it has caught up."""
        reader = self.store.reader(topic, "earliest")
        try:
            return values(drain(reader))
        finally:
            reader.close()


def drain(reader: Reader, patience_s: float = PATIENCE_S) -> list[Records]:
    """Poll until the reader has caught up."""
    batches: list[Records] = []

    def done() -> bool:
        batches.extend(reader.poll(0.05))
        return reader.caught_up()

    eventually(done, patience_s)
    return batches
