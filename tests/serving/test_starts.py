"""Where a service starts, how it writes scores, and how its process ends."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime

import msgspec

from tests.serving.process import Process
from tests.serving.stand import CALM, Stand, at, wait_for
from tests.serving.test_stories import fleet

WATCHED = """
from streamae.serving import service
from streamae.serving.watchdog import Watchdog
service.Watchdog = lambda: Watchdog(patience_s=%s, frozen_s=%s)
"""
HANGING = """
import threading
def hang(self, timeout_s):
    threading.Event().wait()
from streamae.topics.embedded_ends import EmbeddedSource
EmbeddedSource.poll = hang
"""

BUSY = """
import threading
from streamae.serving import partition
from streamae.serving.partition import Partition
decode, partition.SLICE = Partition._decode, 10
def slowly(self, records):
    threading.Event().wait(0.5)
    return decode(self, records)
Partition._decode = slowly
"""


def test_latest_holds_for_the_first_start_only(stand: Stand) -> None:
    stand.champion()
    stand.changes["serving"] = {"start": "latest"}
    stand.publish([("p", tick, CALM) for tick in range(20)], 0)
    with stand.running() as service:
        wait_for(lambda: service().committed.get(0) == 20)
        stand.publish([("p", tick, CALM) for tick in range(20, 30)], 0)
        wait_for(lambda: service().committed.get(0) == 30)
    stand.publish([("p", tick, CALM) for tick in range(30, 40)], 0)
    with stand.running() as service:
        wait_for(lambda: service().committed.get(0) == 40)
    assert starts(stand) == [at(tick) for tick in range(17, 36, 2)]


def test_a_time_holds_for_the_first_start_only(stand: Stand) -> None:
    stand.champion()
    moment = datetime.fromtimestamp(at(10) / 1000, UTC)
    stand.changes["serving"] = {"start": moment.isoformat()}
    stand.publish([("p", tick, CALM) for tick in range(20)], 0)
    for end in (30, 40):
        stand.publish([("p", tick, CALM) for tick in range(end - 10, end)], 0)
        with stand.running() as service:
            wait_for(lambda end=end: service().committed.get(0) == end)  # type: ignore[misc]
    assert starts(stand) == [at(tick) for tick in range(7, 36, 2)]


def starts(stand: Stand) -> list[int]:
    """The starts of all scored windows."""
    return [start for _, _, start, *_ in stand.scores()]


def test_scores_as_json_say_what_packed_ones_say(stand: Stand) -> None:
    stand.champion()
    stand.publish(fleet())
    stand.serve_all()
    other = stand.twin("json", changes={"serving": {"scores": "json"}})
    other.serve_all()
    rows = [(partition, key, msgspec.json.decode(value or b"")) for partition, key, value in other.read("scores")]
    assert {key for _, key, _ in rows} == {f"pump-{pump}".encode() for pump in range(5)}
    assert all(set(row["channels"]) == {"channel-0", "channel-1"} for _, _, row in rows)
    assert all(row["end"] - row["start"] == at(4) - at(0) for _, _, row in rows)
    plain = [(partition, row["series"], row["start"], row["score"], row["version"]) for partition, _, row in rows]
    assert sorted(plain) == stand.scores()
    other.close()


def test_a_loop_that_hangs_is_ended_to_be_started_again(embedded: Stand) -> None:
    embedded.champion()
    process = Process(embedded, WATCHED % (1, 60) + HANGING)
    process.start()
    try:
        assert process.ended(30) == 70
        assert "the loop has made no progress for" in process.said()
    finally:
        process.close()


def test_a_loop_that_is_merely_busy_goes_on(embedded: Stand) -> None:
    """What one poll brings is handled in pieces, and each of them is progress."""
    embedded.champion()
    embedded.publish([("p", tick, CALM) for tick in range(100)])
    process = Process(embedded, WATCHED % (2, 60) + BUSY)
    process.start()
    try:
        wait_for(lambda: process.committed() == 100 or process.exit_code is not None)
        assert process.stop() == 0
    finally:
        process.close()


def test_a_process_that_was_stopped_for_too_long_ends_itself(embedded: Stand) -> None:
    embedded.champion()
    process = Process(embedded, WATCHED % (60, 1))
    process.start()
    try:
        wait_for(lambda: process.state() == "running", 30)
        process.send(signal.SIGSTOP)
        until = time.monotonic() + 2.5
        wait_for(lambda: time.monotonic() > until)
        process.send(signal.SIGCONT)
        assert process.ended(10) == 70
        assert "another may have taken over" in process.said()
    finally:
        process.close()
