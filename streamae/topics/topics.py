"""What a service needs of topics: a Source of records, a Sink with transactions, and the plain ends for everyone else.

Rules that every store keeps, held by one contract test:
1. Records are bytes. Nothing here parses them.
2. A partition that is newly assigned delivers nothing until `resume` says from where.
3. `poll` reports what was assigned and revoked since the last poll, and no record of a revoked partition.
4. Offsets only grow, and may have gaps.
5. A transaction is seen whole or not at all by every reader here; its offsets move with it.
6. Any doubt about a transaction's outcome is `TransactionFailed`; after `Sink.renew`, `Source.committed` is the truth.
7. A checkpoint holds at most METADATA_LIMIT characters; a longer one is refused before anything is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from streamae.errors import TopicsError

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one partition in offset order, as columns of equal length N."""

    topic: str
    partition: int
    offset: NDArray[np.int64]  # [N]
    timestamp: NDArray[np.int64]  # [N] ms since the epoch, the record's own
    key: list[bytes | None]
    value: list[bytes | None]
    headers: list[Headers] = field(default_factory=list)  # a Reader's only: a Source has no use for them

    def __len__(self) -> int:
        return len(self.value)


class Output(NamedTuple):
    """A record to be written. Without a partition the key's hash decides, as Kafka's default partitioner does."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()
    timestamp: int | None = None  # ms since the epoch; the store's clock where None


class Position(NamedTuple):
    """What is committed for a partition: the offset of the next reading to handle, and a checkpoint in text."""

    offset: int
    metadata: str


METADATA_LIMIT = 4096  # of a checkpoint, in UTF-16 units: what a Kafka broker takes unless it is told otherwise


def check_metadata(positions: Mapping[int, Position]) -> None:
    """Raise TopicsError where a checkpoint is too long."""
    for partition, position in positions.items():
        length = len(position.metadata.encode("utf-16-le")) // 2
        if length > METADATA_LIMIT:
            raise TopicsError(
                f"the checkpoint of partition {partition} has {length} characters, {METADATA_LIMIT} are allowed: "
                "what grows belongs on the state topic"
            )


class Damaged(NamedTuple):
    """Records of a partition that cannot be read, [first, next), and why."""

    partition: int
    first: int
    next: int
    why: str


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought: partitions gained and lost since the last one, then records of the running ones.

    A partition with damaged records delivers nothing until `resume`.
    """

    assigned: frozenset[int] = frozenset()
    revoked: frozenset[int] = frozenset()
    records: list[Records] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)


class Bounds(NamedTuple):
    """The offsets that a partition holds: [first, end)."""

    first: int
    end: int


class Source(Protocol):
    """The readings topic, as one member of a consumer group sees it."""

    def poll(self, timeout_s: float) -> Polled:
        """Wait up to `timeout_s` for records of the running partitions. Raises Unreachable, Fenced, RecordsGone."""

    def committed(self, partition: int) -> Position | None:
        """What the group has committed, or None. Raises Unreachable while that is undecided: ask again later."""

    def resume(self, partition: int, offset: int) -> None:
        """Deliver this partition from `offset` on."""

    def hold(self, partition: int) -> None:
        """Deliver nothing of this partition until `resume`."""

    def position(self, partition: int) -> int:
        """The next offset that `poll` would deliver, past records that are no readers' business (never waits)."""

    def identity(self) -> str:
        """What tells this topic from another one of its name, made after it was deleted; empty while unknown."""

    def lag(self, partition: int) -> int | None:
        """How far `position` is from the end, as far as is known (never waits); None while nothing is known."""

    def bounds(self, partition: int) -> Bounds:
        """The offsets that can be read now. Raises Unreachable."""

    def offset_at(self, partition: int, time_ms: int) -> int:
        """The first offset whose record is not older than `time_ms`; the end where there is none."""

    def record_at(self, topic: str, partition: int, offset: int) -> bytes:
        """One record by its exact offset, read uncommitted (the caller holds a proof that it is committed).

        Raises RecordsGone where it is not there, Unreachable where the broker is not.
        """

    def close(self) -> None:
        """Leave the group. Never waits for long, never raises."""


class Sink(Protocol):
    """Where results go: one transaction at a time, with the offsets of the readings they came from."""

    def begin(self) -> None:
        """Begin a transaction. Raises TransactionFailed, Fenced."""

    def send(self, outputs: Sequence[Output]) -> list[int]:
        """Write inside the transaction; returns each output's offset once all are acknowledged. Raises as `begin`."""

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit what was sent together with the source's positions. Raises as `begin`."""

    def renew(self) -> None:
        """Resolve whatever is open after TransactionFailed, and be ready for `begin`. Raises Unreachable, Fenced."""

    def close(self) -> None:
        """Let go; an open transaction is aborted. Never waits for long, never raises."""


class Reader(Protocol):
    """A plain subscriber to a topic: no group, committed records only, all partitions."""

    def poll(self, timeout_s: float) -> list[Records]:
        """Wait up to `timeout_s` for records."""

    def caught_up(self) -> bool:
        """Whether everything that was committed when the reader was opened has been delivered."""

    def close(self) -> None:
        """Stop reading."""


class Writer(Protocol):
    """A plain producer: no transaction, at least once."""

    def write(self, outputs: Sequence[Output]) -> None:
        """Write and wait until all are acknowledged. Raises Unreachable."""

    def close(self) -> None:
        """Stop writing."""


class TopicSpec(NamedTuple):
    """A topic as it should be; `settings` are Kafka's topic configs (`cleanup.policy`, `retention.ms`, ...)."""

    name: str
    partitions: int
    settings: Mapping[str, str] = {}


class Standing(NamedTuple):
    """How safe a topic is, and what this user may do with it."""

    replicas: int  # of the partition that has the fewest
    in_sync: int  # of them, up to date; of the partition that has the fewest now
    min_in_sync: int  # with fewer, nothing can be written
    brokers: int  # of the cluster
    allowed: frozenset[str]  # READ, WRITE, ...


class TopicStore(Protocol):
    """A place where topics live. Every object it opens is used by one thread."""

    def source(self, topic: str, group: str, instance: str) -> Source:
        """Join `group` as its member `instance`; the same instance started again gets its partitions back."""

    def sink(self, source: Source, group: str, instance: str) -> Sink:
        """The sink of that member."""

    def reader(self, topic: str, start: Literal["earliest", "latest"] | int) -> Reader:
        """Subscribe from the start, the end, or a time in ms since the epoch."""

    def writer(self) -> Writer:
        """A plain producer."""

    def describe(self, names: Sequence[str]) -> dict[str, TopicSpec | None]:
        """Each topic as it is; None where there is none. Raises Unreachable."""

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is not there yet; what is there stays as it is."""

    def standing(self, names: Sequence[str]) -> dict[str, Standing]:
        """How the topics that are there stand; none where topics have neither replicas nor permissions."""

    def obstacles(self, group: str, instance: str) -> list[str]:
        """What keeps anyone from being that member, each with its cure. Raises Unreachable."""

    def about(self) -> str:
        """One line for people: what this store is and which version of it answers. Raises Unreachable."""

    def close(self) -> None:
        """Let go of everything opened here."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
