"""What is particular to topics in one SQLite file: other processes, locks, full disks, foreign files, speed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamae.errors import ConfigError, Fenced, MissingExtra, TopicsError, TransactionFailed, Unreachable
from streamae.topics import open_store
from streamae.topics.embedded import EmbeddedStore
from streamae.topics.placement import murmur2
from streamae.topics.topics import Output, Position, TopicSpec
from tests.topics.member import Stage, eventually, values


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(tmp_path / "topics.db", busy_s=0.1) as opened:
        yield opened


@pytest.fixture
def stage(store: EmbeddedStore) -> Stage:
    return Stage.set(store, lambda prefix: prefix)


def test_another_process_writes_and_this_one_wakes_up(stage: Stage, store: EmbeddedStore) -> None:
    program = f"""
from streamae.topics.embedded import EmbeddedStore
from streamae.topics.topics import Output
with EmbeddedStore({str(store.path)!r}) as store:
    store.writer().write([Output("readings", b"pump", b"from afar", 0)])
"""
    reader = store.reader("readings", "latest")
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        assert eventually(lambda: values(reader.poll(1.0))) == [b"from afar"]
    assert process.returncode == 0


def test_topics_and_positions_outlive_the_store(stage: Stage, store: EmbeddedStore) -> None:
    member = stage.running(3)
    member.publish([Output("alerts", b"pump", b"alert", 0)], {0: Position(2, "kept")})
    store.close()
    with EmbeddedStore(store.path) as again:
        source = again.source("readings", "group", "one")
        assert source.committed(0) == Position(2, "kept")
        assert source.bounds(0) == (0, 3)


def test_any_second_member_takes_over(stage: Stage) -> None:
    first = stage.running(1)
    second = stage.member("two")
    for call in (first.sink.begin, first.sink.renew, lambda: first.source.poll(0)):
        with pytest.raises(Fenced, match=r"'two'.*stop one"):
            call()
    assert second.assigned() == {0, 1}


def test_a_file_that_another_process_holds_is_said_to_be_busy(stage: Stage, store: EmbeddedStore) -> None:
    member = stage.running(1)
    writer = store.writer()
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unreachable, match=r"locked.*Another process"):
        writer.write([Output("alerts", b"pump", b"x", 0)])
    member.sink.begin()
    with pytest.raises(TransactionFailed, match="locked"):
        member.sink.send([Output("alerts", b"pump", b"x", 0)])
    other.execute("ROLLBACK")
    other.close()
    member.sink.renew()
    member.publish([Output("alerts", b"pump", b"y", 0)], {0: Position(1, "")})
    assert stage.everything("alerts") == [b"y"]


def test_a_full_disk_fails_the_transaction_and_keeps_what_is_committed(stage: Stage) -> None:
    member = stage.running(1)
    member.publish([Output("alerts", b"pump", b"small", 0)], {0: Position(1, "small")})
    db = member.sink._log.db  # type: ignore[attr-defined]
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count={pages + 2}")
    member.sink.begin()
    with pytest.raises(TransactionFailed, match=r"full.*[Ff]ree some space"):
        member.sink.send([Output("alerts", b"pump", b"x" * 100_000, 0)])
    member.sink.renew()
    assert member.committed(0) == Position(1, "small")
    assert stage.everything("alerts") == [b"small"]


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    text, database = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("not a database, by far " * 100)
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    for path in (text, database):
        before = path.read_bytes()
        with pytest.raises(TopicsError, match=path.name):
            EmbeddedStore(path)
        assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"nowhere.*folder"):
        EmbeddedStore(tmp_path / "nowhere" / "topics.db")


def test_two_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    program = f"""
from streamae.topics.embedded import EmbeddedStore
from streamae.topics.topics import TopicSpec
with EmbeddedStore({str(tmp_path / "new.db")!r}) as store:
    store.create([TopicSpec("readings", 3)])
"""
    racers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(4)]
    assert [racer.wait(30) for racer in racers] == [0] * 4
    with EmbeddedStore(tmp_path / "new.db") as store:
        assert store.describe(["readings"]) == {"readings": TopicSpec("readings", 3)}


def test_records_without_a_key_are_spread(stage: Stage) -> None:
    stage.write(*[Output("readings", None, b"x")] * 10)
    reader = stage.store.reader("readings", "earliest")
    assert sorted(len(records) for records in reader.poll(0)) == [5, 5]


def test_a_hundred_thousand_records_a_second(stage: Stage, store: EmbeddedStore) -> None:
    """Far below what it does (300,000 written, 600,000 read, a core each), so that a busy machine passes too."""
    outputs = [Output("readings", b"pump-%d" % (n % 300), b'{"temperature": 41.2}') for n in range(20_000)]
    writer, reader = store.writer(), store.reader("readings", "earliest")
    began = time.perf_counter()
    for start in range(0, len(outputs), 2_000):
        writer.write(outputs[start : start + 2_000])
    read = sum(len(records) for records in reader.poll(0))
    assert read == len(outputs)
    assert time.perf_counter() - began < 2


def test_places_for_topics_are_named_by_url(
    tmp_path: Path, forget: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(f"embedded://{tmp_path}/topics.db") as store:
        assert str(tmp_path) in store.about()
    for wrong in ("", "topics.db", "redis://here", "kafka://", "embedded://"):
        with pytest.raises(ConfigError, match=r"kafka://host:port.*embedded:///path"):
            open_store(wrong)
    forget("streamae.topics.kafka")
    monkeypatch.setitem(sys.modules, "kafka", None)
    with pytest.raises(MissingExtra, match=r"streamae\[serve\]"):
        open_store("kafka://localhost:9092")


def test_importing_the_room_loads_no_store() -> None:
    program = "import streamae.topics, sys; sys.exit(any(name in sys.modules for name in ('kafka', 'sqlite3')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_hash_is_the_one_of_kafkas_own_clients() -> None:
    """Values from the tests of Apache Kafka's Java client (`UtilsTest.testMurmur2`)."""
    signed = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    assert {key: (murmur2(key) ^ 1 << 31) - (1 << 31) for key in signed} == signed
