"""Stores that fail on purpose: the real ones, with faults at chosen calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from streamae.errors import TransactionFailed, Unreachable
from streamae.topics import open_store
from streamae.topics.topics import Output, Polled, Position, Sink, Source, TopicStore

Fault = Literal["begin", "send", "half sent", "before commit", "after commit", "renew", "none"]


class FailingSink:
    """A real sink that fails when the next of its `faults` says so; one fault is drawn a transaction."""

    def __init__(self, real: Sink, faults: Iterator[Fault], met: list[Fault]) -> None:
        self._real = real
        self._faults = faults
        self._met = met
        self._fault: Fault = "none"

    def begin(self) -> None:
        """Begin, or fail."""
        self._fault = next(self._faults, "none")
        self._fail("begin")
        self._real.begin()

    def send(self, outputs: Sequence[Output]) -> list[int]:
        """Write, or fail before it or amid it."""
        self._fail("send")
        if self._fault == "half sent":
            self._real.send(outputs[: len(outputs) // 2])
        self._fail("half sent")
        return self._real.send(outputs)

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit, or fail before or after it: the caller cannot tell which."""
        self._fail("before commit", "renew")
        self._real.commit(positions)
        self._fail("after commit")

    def renew(self) -> None:
        """Renew, or find the broker away."""
        if self._fault == "renew":
            self._fault = "none"
            raise Unreachable("a fault on purpose: the broker is away")
        self._real.renew()

    def close(self) -> None:
        """Let go."""
        self._real.close()

    def _fail(self, *faults: Fault) -> None:
        if self._fault in faults:
            self._met.append(self._fault)
            raise TransactionFailed(f"a fault on purpose: {self._fault}")


class HookedSource:
    """A real source; before a poll it does what is in `hooks`, each once, in the loop's own thread."""

    def __init__(self, real: Source, hooks: list[Callable[[Source], None]]) -> None:
        self.real = real
        self._hooks = hooks

    def poll(self, timeout_s: float) -> Polled:
        """Do what is to be done, then poll."""
        while self._hooks:
            self._hooks.pop(0)(self.real)
        return self.real.poll(timeout_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class TamperedStore:
    """A real store with other ends."""

    def __init__(self, real: TopicStore) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._real.close()


class FailingStore(TamperedStore):
    """A real store whose sinks fail."""

    def __init__(self, real: TopicStore, faults: Iterator[Fault], met: list[Fault]) -> None:
        super().__init__(real)
        self._faults = faults
        self._met = met

    def sink(self, source: Source, group: str, instance: str) -> FailingSink:
        """A failing sink."""
        return FailingSink(self._real.sink(source, group, instance), self._faults, self._met)


class HookedStore(TamperedStore):
    """A real store whose sources have hooks."""

    def __init__(self, real: TopicStore, hooks: list[Callable[[Source], None]]) -> None:
        super().__init__(real)
        self._hooks = hooks

    def source(self, topic: str, group: str, instance: str) -> HookedSource:
        """A source with hooks."""
        return HookedSource(self._real.source(topic, group, instance), self._hooks)

    def sink(self, source: HookedSource, group: str, instance: str) -> Sink:
        """The sink of that source."""
        return self._real.sink(source.real, group, instance)


class DistantStore(TamperedStore):
    """A real store that cannot be reached the first time that a source or a sink is asked for."""

    def __init__(self, real: TopicStore) -> None:
        super().__init__(real)
        self._away = {"source", "sink"}

    def source(self, topic: str, group: str, instance: str) -> Source:
        """The source, the second time."""
        self._be_away("source")
        return self._real.source(topic, group, instance)

    def sink(self, source: Source, group: str, instance: str) -> Sink:
        """The sink, the second time."""
        self._be_away("sink")
        return self._real.sink(source, group, instance)

    def _be_away(self, end: str) -> None:
        if end in self._away:
            self._away.remove(end)
            raise Unreachable(f"a fault on purpose: no {end}")


def failing(faults: Iterator[Fault], met: list[Fault]) -> Callable[[str], Any]:
    """Opens stores that fail; `met` is told what has happened."""
    return lambda url: FailingStore(open_store(url), faults, met)


def hooked(hooks: list[Callable[[Source], None]]) -> Callable[[str], Any]:
    """Opens stores whose sources do what `hooks` asks for between two polls."""
    return lambda url: HookedStore(open_store(url), hooks)
