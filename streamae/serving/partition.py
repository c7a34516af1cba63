"""Partition: one partition that runs. It turns records into outputs, and knows what to commit with them.

Results wait here until a transaction takes them; one that fails drops the whole object, and `recovery` makes a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from streamae.detection.alerts import Alert
from streamae.detection.detector import Checkpoint, Detected, Detector, fits
from streamae.detection.episodes import Place
from streamae.detection.json_records import JsonDecoder
from streamae.detection.readings import DeadLetter, Readings, Reason, RecordColumns
from streamae.detection.scoring import Scorer
from streamae.serving.made import Destination, made_outputs
from streamae.serving.outputs import alert_output, damaged_output, dead_letter_outputs, json_scores, packed_scores
from streamae.serving.settings import Settings
from streamae.topics.topics import Damaged, Output, Position, Records

SLICE = 2048  # records that are handled before the loop is told that it makes progress
NO_EPISODES = b"[]"
FLOOD_RECORDS = 1_000  # after so many it is asked whether they are a flood of dead letters


class Halt(Exception):
    """A partition must not go on now; what it has done so far stands."""


class Tally(msgspec.Struct):
    """What a partition has done since the last transaction, for telemetry once that is committed."""

    readings: int = 0
    skipped: int = 0
    windows: int = 0
    alerts: dict[str, int] = {}  # by state
    dead: dict[str, int] = {}  # by reason


class Partition:
    """One running partition."""

    def __init__(
        self, number: int, settings: Settings, scorer: Scorer, beat: Callable[[], None], topic_id: str
    ) -> None:
        self.number = number
        self.settings = settings
        self.next_offset = 0
        self.changed = True  # whether there is anything to commit
        self.tally = Tally()
        self.state_at: int | None = None
        self.written_state = NO_EPISODES
        self._beat = beat
        self._topic_id = topic_id
        self._outputs: list[Output] = []
        self._detected: list[Detected] = []
        self._recent = self._unreadable = 0  # records since the last look for a flood
        self._newest_dead: DeadLetter | None = None
        self._begin(scorer)

    def _begin(self, scorer: Scorer) -> None:
        place = Place(self.settings.model, self.settings.readings, self.number)
        self.detector = Detector(scorer, self.settings.rules, place)
        self._decoder = JsonDecoder(self.settings.mapping, scorer.artifact.manifest.channels)

    def detect(self, records: Records) -> None:
        """Handle records that follow in offset order. Raises Halt where it has to wait, at `next_offset`."""
        for part in _slices(records):
            self._detect(part)
            self._beat()
            self._halt_floods()

    def _detect(self, records: Records) -> None:
        readings, dead, skipped = self._decode(records)
        if not self.detector.has_room(readings, self.settings.most_series):
            self._detect_halves(records)
            return
        self._watch_for_floods(len(records), dead)
        detected = self.detector.push(readings)
        self._keep(detected)
        dead += [DeadLetter(offset, Reason.LATE, LATE) for offset in readings.offset[detected.late].tolist()]
        self._outputs += dead_letter_outputs(self.settings.deadletters, records, dead)
        for letter in dead:
            self.tally.dead[letter.reason] = self.tally.dead.get(letter.reason, 0) + 1
        self.tally.skipped += skipped
        self.tally.readings += len(records)
        self.next_offset = int(records.offset[-1]) + 1
        self.changed = True

    def _detect_halves(self, records: Records) -> None:
        """A table that is nearly full is asked for room reading by reading, for each may make some."""
        if len(records) == 1:
            raise Halt(
                f"{self.settings.most_series} series have readings in open windows: raise $.serving.most_series, "
                "or correct $.readings.series_from"
            )
        for part in split(records, int(records.offset[len(records) // 2])):
            self._detect(part)

    def _watch_for_floods(self, records: int, dead: list[DeadLetter]) -> None:
        self._recent += records
        self._unreadable += len(dead)
        self._newest_dead = dead[-1] if dead else self._newest_dead

    def _halt_floods(self) -> None:
        if self._recent < FLOOD_RECORDS:
            return
        share, self._recent, self._unreadable = self._unreadable / self._recent, 0, 0
        if share > self.settings.flood and self._newest_dead:
            raise Halt(
                f"{share:.0%} of the records are no readings ({self._newest_dead.reason}: {self._newest_dead.detail}); "
                "they are read slowly: correct $.readings, or raise $.serving.flood"
            )

    def skip(self, damaged: Damaged) -> None:
        """Go on behind records that cannot be read, and say so with a dead letter."""
        self._outputs.append(damaged_output(self.settings.deadletters, self.settings.readings, damaged))
        self.tally.dead[Reason.DAMAGED] = self.tally.dead.get(Reason.DAMAGED, 0) + 1
        self.next_offset = damaged.next
        self.changed = True

    def follow(self, records: Records) -> None:
        """Fill the windows with records that were handled before."""
        for part in _slices(records):
            self.detector.follow(self._decode(part)[0])
            self._beat()

    def outputs(self) -> list[Output]:
        """All that is to be written; the episodes come last, where they have changed."""
        outputs = list(self._outputs)
        if self._detected:
            outputs.append(packed_scores(self.settings.scores, self.number, self._detected, self._facts()))
        state = self.detector.episodes()
        if state != self.written_state:
            outputs.append(Output(self.settings.state, str(self.number).encode(), state, self.number))
        return outputs

    def position(self, offsets: list[int]) -> Position:
        """What to commit, once the outputs have got these offsets."""
        state = self.detector.episodes()
        if state != self.written_state:
            self.written_state, self.state_at = state, offsets[-1]
        replay_from = self.detector.replay_from()
        checkpoint = Checkpoint(
            settings_hash=self.settings.digest,
            replay_from=self.next_offset if replay_from is None else replay_from,
            partition_newest=self.detector.partition_newest,
            version=self.detector.version,
            state_at=self.state_at,
            topic_id=self._topic_id,
        )
        return Position(self.next_offset, checkpoint.encode())

    def committed(self) -> Tally:
        """The transaction is through: forget what it has written, and return what that was."""
        self._outputs.clear()
        self._detected.clear()
        self.changed = False
        tally, self.tally = self.tally, Tally()
        return tally

    def swap(self, scorer: Scorer) -> bool:
        """Serve with another version from here on; between transactions only. Returns whether windows begin anew."""
        self.changed = True
        if fits(self.detector.scorer.artifact.manifest, scorer.artifact.manifest):
            self.detector.swap(scorer)
            return False
        self.restart(scorer, self.detector)
        return True

    def restart(self, scorer: Scorer, old: Detector) -> None:
        """Begin windows anew at the next reading; what was firing is withdrawn, event time goes on."""
        self._emit(old.withdraw())
        self._begin(scorer)
        self.detector.restore(old.partition_newest, None)
        self.changed = True

    def _decode(self, records: Records) -> tuple[Readings, list[DeadLetter], int]:
        decoded = self._decoder.decode(RecordColumns(records.offset, records.timestamp, records.key, records.value))
        return decoded.readings, decoded.dead, decoded.skipped

    def _keep(self, detected: Detected) -> None:
        self._emit(detected.alerts)
        self.tally.windows += len(detected.windows)
        manifest, policy = self.detector.scorer.artifact.manifest, self.settings.rules.policy
        place = Destination(self.settings.made, self.number, manifest, policy.min_observed)
        self._outputs += made_outputs(place, detected)
        if len(detected.windows) and self.settings.publish_scores == "packed":
            self._detected.append(detected)
        elif self.settings.publish_scores == "json":
            self._outputs += json_scores(self.settings.scores, self.number, detected, self._facts())

    def _emit(self, alerts: list[Alert]) -> None:
        for alert in alerts:
            self._outputs.append(alert_output(self.settings.alerts, self.number, alert))
            self.tally.alerts[alert.state] = self.tally.alerts.get(alert.state, 0) + 1

    def _facts(self) -> tuple[str, tuple[str, ...]]:
        manifest = self.detector.scorer.artifact.manifest
        return manifest.version, tuple(channel.name for channel in manifest.channels)


LATE = "all windows that it belongs to were closed when it came"


def split(records: Records, offset: int) -> tuple[Records, Records]:
    """Records before an offset, and from it on."""
    at = int(np.searchsorted(records.offset, offset))
    return _part(records, slice(0, at)), _part(records, slice(at, None))


def _slices(records: Records) -> Iterator[Records]:
    """Records in pieces. They are cut before they are decoded: readings name only series that occur in them."""
    for at in range(0, len(records), SLICE):
        yield _part(records, slice(at, at + SLICE))


def _part(records: Records, rows: slice) -> Records:
    columns = (records.offset[rows], records.timestamp[rows], records.key[rows], records.value[rows])
    return Records(records.topic, records.partition, *columns)
