"""Restore: the one path by which a partition comes to run: start, crash, rebalance, failed transaction.

    ask what is committed -> load the episodes -> re-read from `replay_from`, silently, to the committed offset -> run

Other partitions keep running meanwhile: each call does a little and returns.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from streamae.detection.detector import Checkpoint
from streamae.errors import DataError, RecordsGone, TopicsChanged, TopicsError
from streamae.serving.models import Models
from streamae.serving.partition import NO_EPISODES, Partition, split
from streamae.serving.provision import Outputs
from streamae.serving.settings import Settings
from streamae.topics.topics import Damaged, Position, Records, Source, TopicStore

AGAIN_S = 2.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What every partition of a service shares."""

    settings: Settings
    store: TopicStore
    source: Source
    models: Models
    start: Literal["earliest", "latest"] | int
    beat: Callable[[], None]
    outputs: Outputs
    topic_id: str  # of the readings, when this member came to them


class Restore:
    """A partition on its way to running."""

    def __init__(self, number: int, around: Surroundings) -> None:
        self.number = number
        self._around = around
        self._partition: Partition | None = None
        self._until = 0  # the committed offset: up to it records are followed, from it on they are detected in
        self._checkpoint: Checkpoint | None = None
        self._began = time.monotonic()
        self._not_before = 0.0
        self.held = False  # until somebody has mended something

    def waited_s(self) -> float:
        """How long it has been on its way."""
        return time.monotonic() - self._began

    def put_off(self) -> None:
        """Somebody has to mend something first: look again after a while."""
        self.held, self._not_before = True, time.monotonic() + AGAIN_S

    def advance(self) -> Partition | None:
        """Do the next step; returns the partition once it runs.

        Raises Unreachable (ask again), RecordsGone, TopicsChanged, RegistryError or ArtifactError (it cannot run until
        that is mended), and TopicsError where it must not run at all.
        """
        if time.monotonic() < self._not_before:
            return None
        if self._partition is None:
            self._partition = self._open()
        self.held = False
        if not self._caught_up():
            return None
        return self._finish(self._partition)

    def _caught_up(self) -> bool:
        with contextlib.suppress(TopicsError):  # it has gone to another member, which the next poll reports
            return self._around.source.position(self.number) >= self._until
        return False

    def take(self, records: Records) -> None:
        """Follow what was handled before; what was not is delivered again once the partition runs."""
        assert self._partition is not None  # noqa: S101  nothing is delivered before `_open` has resumed it
        self._partition.follow(split(records, self._until)[0])

    def skip(self, damaged: Damaged) -> None:
        """Go on behind records that cannot be read; those that were not handled yet are met again."""
        if damaged.first < self._until:
            self._around.source.resume(self.number, damaged.next)

    def _open(self) -> Partition:
        around = self._around
        around.outputs.check(self.number)
        self._refuse_another_topic(around.topic_id)
        committed = around.source.committed(self.number)
        if committed is None:
            return self._first_start()
        checkpoint = Checkpoint.decode(committed.metadata)
        if checkpoint is None or checkpoint.settings_hash != around.settings.digest:
            return self._boundary(committed, checkpoint)
        self._refuse_another_topic(checkpoint.topic_id)
        partition = self._partition_of(checkpoint.version)
        first = around.source.bounds(self.number).first
        replay_from = min(checkpoint.replay_from, committed.offset)
        if replay_from < first:
            raise RecordsGone(
                f"{around.settings.readings}[{self.number}]: windows begin at offset {replay_from}, but "
                f"retention has deleted all before {first}; lengthen it, then reset this group's offset to go on"
            )
        partition.next_offset, partition.changed = committed.offset, False
        self._checkpoint, self._until = checkpoint, committed.offset
        around.source.resume(self.number, replay_from)
        return partition

    def _finish(self, partition: Partition) -> Partition:
        if self._checkpoint is not None:
            self._take_over(partition, self._checkpoint)
        self._around.source.resume(self.number, partition.next_offset)
        return partition

    def _first_start(self) -> Partition:
        """Nothing was ever committed: begin where the config says, and commit that at once."""
        around = self._around
        self._refuse_forgotten_offsets()
        bounds = around.source.bounds(self.number)
        offset = bounds.first if around.start == "earliest" else bounds.end
        if isinstance(around.start, int):
            offset = around.source.offset_at(self.number, around.start)
        partition = self._partition_of(None)
        partition.next_offset = offset
        return partition

    def _boundary(self, committed: Position, checkpoint: Checkpoint | None) -> Partition:
        """The checkpoint was made under other settings: windows begin anew, what was firing is withdrawn."""
        around = self._around
        log.warning(
            "%s[%d]: mapping, lateness or policies have changed since the last commit; windows begin anew at offset %d",
            around.settings.readings,
            self.number,
            committed.offset,
        )
        partition = self._partition_of(None)
        partition.next_offset = committed.offset
        if checkpoint is not None:
            self._take_over(partition, checkpoint)
            partition.restart(partition.detector.scorer, partition.detector)
        return partition

    def _partition_of(self, version: str | None) -> Partition:
        around = self._around
        scorer = around.models.version(version) if version else around.models.champion()
        assert scorer is not None  # noqa: S101  the service starts with a champion
        return Partition(self.number, around.settings, scorer, around.beat, around.topic_id)

    def _take_over(self, partition: Partition, checkpoint: Checkpoint) -> None:
        """Event time and episodes, as the last commit left them."""
        state, topic = NO_EPISODES, self._around.settings.state
        if checkpoint.state_at is not None:
            state = self._around.source.record_at(topic, self.number, checkpoint.state_at)
        try:
            partition.detector.restore(checkpoint.partition_newest, state)
        except DataError as error:
            raise RecordsGone(
                f"{topic}[{self.number}]@{checkpoint.state_at}, which the last commit names: {error}; was the topic "
                "written by another program? Reset this group's offset to go on without what was firing"
            ) from error
        partition.state_at, partition.written_state = checkpoint.state_at, state

    def _refuse_another_topic(self, topic_id: str) -> None:
        """The same offsets mean other records in a topic that was deleted and made again."""
        if topic_id and self._around.source.identity() not in ("", topic_id):
            raise TopicsChanged(
                f"{self._around.settings.readings} was deleted and made again since this service has read from it: to "
                "go on with the new one, stop the service, reset its group's offset if it still has one, and start it"
            )

    def _refuse_forgotten_offsets(self) -> None:
        """Episodes on `.state` without a committed offset: the broker has forgotten where this service was."""
        settings = self._around.settings
        reader = self._around.store.reader(settings.state, "earliest")
        try:
            while True:
                found = [records for records in reader.poll(0.1) if records.partition == self.number]
                if found:
                    raise TopicsError(
                        f"{settings.state}[{self.number}] holds episodes, but the group has no committed offset "
                        "(expired while it was idle, or the topic was made again?). Set the group's offset to where it "
                        f"should go on, or delete the topic {settings.state} to begin anew; nothing is guessed"
                    )
                if reader.caught_up():
                    return
                self._around.beat()
        finally:
            reader.close()
