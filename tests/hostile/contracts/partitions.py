"""What a partition keeps and publishes: checkpoints, the state records that they point to, packed scores."""

from __future__ import annotations

import struct

import msgspec
import numpy as np

from streamae.detection.detector import Checkpoint, Detected
from streamae.detection.episodes import EpisodePolicy, EpisodeTracker, Place
from streamae.detection.scoring import Scores
from streamae.detection.windows import Windows
from streamae.errors import DataError
from streamae.serving.outputs import PackedScores, packed_scores
from tests.hostile.contracts.contract import Contract

RULES = EpisodePolicy(expire_after_ms=60_000, keep_budget=True)
CHECKPOINT = Checkpoint(settings_hash="ab", replay_from=3, partition_newest=5000, version="v0001", state_at=7).encode()
EPISODE = (
    b'{"series":"pump-1","first":1000,"onset":3000,"end":5000,"seen":5000,"above":2,"calm":0,"fired":true,'
    b'"confirmed":true,"peak":{"time":5000,"score":6.25},"settled":[6.25],"observed":1.0,"windows":2,"threshold":4.0,'
    b'"factor":1.0,"version":"v0001","first_offset":3,"last_offset":9,"channels":[{"name":"a","share":1.0,'
    b'"expected":0.0,"actual":null}]}'
)


def checkpoint(data: bytes) -> None:
    """Metadata is a checkpoint or none; a state record is episodes that can go on and end, or a DataError."""
    found = Checkpoint.decode(data.decode(errors="surrogateescape"))
    if found is not None:
        assert Checkpoint.decode(found.encode()) == found
        assert max(found.replay_from, found.partition_newest or 0, found.state_at or 0) < 2**62
    tracker = EpisodeTracker(RULES, Place("tiny", "plant.readings", 0))
    try:
        tracker.load(data)
    except DataError:
        return
    again = EpisodeTracker(RULES, Place("tiny", "plant.readings", 0))
    again.load(tracker.dump())
    assert again.dump() == tracker.dump()
    for name in [*tracker.episodes][:2]:
        windows, scores = scored([name], struct.pack("<d", 3.0))
        tracker.update(windows, scores, "v0001", lambda _row: ())
    tracker.expire(10**9)
    again.withdraw()


def scored(names: list[str], numbers: bytes) -> tuple[Windows, Scores]:
    """Scored windows of these series; numbers are used again and again."""
    count = len(names)
    column = np.resize(np.frombuffer(numbers, "<f8"), count)
    at = np.arange(count)
    values = np.zeros((count, 4, 2), np.float32)
    windows = Windows(names, 6000 + at, 10_000 + at, values, np.ones(count), at, at, 10_000 + at)
    with np.errstate(all="ignore"):
        errors = np.stack([column, -column], axis=1).astype(np.float32)
    return windows, Scores(column, column[::-1], errors, np.full(count, 4.0))


CHECKPOINTS = Contract(
    checkpoint,
    (
        CHECKPOINT.encode(),
        b"[" + EPISODE + b"]",
        b'{"episodes":[' + EPISODE + b'],"raised":[{"series":"pump-1","log":0.69,"at":5000}]}',
        b'{"episodes":[' + EPISODE + b'],"raised":[{"series":"pump-1","log":9,"at":%d}]}' % (2**62 - 1),
        b'{"episodes":[' + EPISODE + b'],"raised":[{"series":"pump-1","log":9,"at":184467440737095516150}]}',
    ),
    tuple(
        b'"windows":0 "factor":0 "log":1e308 "at": -1 1e400 null 18446744073709551615 "fired":true [[[[ {"a":'.split()
    ),
)


def packed(data: bytes) -> None:
    """Packed scores give a subscriber every window, bit by bit, whatever the names and numbers."""
    names = [name.decode(errors="replace") for name in data[8:].split(b"\n")]
    windows, scores = scored(names, data[:8].ljust(8, b"\0"))
    none = np.zeros(0, np.bool_)
    output = packed_scores("plant.scores", 0, [Detected([], windows, scores, none)] * 2, ("v0001", ("a", "b")))
    found = msgspec.msgpack.decode(output.value or b"", type=PackedScores)
    assert found.series == names * 2
    for column, wanted in ((found.start, windows.start), (found.end, windows.end), (found.score, scores.score)):
        assert column == wanted.tobytes() * 2
    assert found.settled == scores.settled.tobytes() * 2
    assert found.channel_error == scores.channel_error.tobytes() * 2


PACKED = Contract(
    packed, (b"\0" * 8 + b"pump-1\npump-2", b"\xff" * 8 + "Pümpe\0".encode()), (b"\n", b"\xf0\x9f\x92\xa7")
)
