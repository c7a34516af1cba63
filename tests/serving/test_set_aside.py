"""Records that cannot be readings: none is lost, none stops anything, and each says why it was set aside."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer
from typer.testing import CliRunner

from streamae.cli import app
from streamae.topics.topics import Output
from tests.serving.stand import CALM, Stand, at, reading


def record(rest: str, tick: int = 19) -> bytes:
    """A record that is not quite a reading."""
    return f'{{"time": {at(tick)}, "a": {rest}}}'.encode()


BAD = {
    "undecodable": (b"p", b"{"),
    "wrong_type": (b"p", record('"hot"')),
    "no_series": (None, record("1")),
    "no_time": (b"p", b'{"a": 1}'),
    "infinite": (b"p", record("1e300")),
    "unknown_channel": (b"p", record('1, "c": 2')),
    "ahead": (b"p", record("1", tick=99_999)),
    "late": (b"p", reading(2, CALM)),
}


def serve_good_and_bad(stand: Stand) -> None:
    """Bad records of every kind between good ones."""
    stand.champion()
    stand.changes["readings"] = {"strict": True, "max_ahead_s": 3600.0}
    stand.publish([("p", tick, CALM) for tick in range(20)], partition=0)
    stand.write([Output(stand.config.topics.readings, key, value, 0, (), at(19)) for key, value in BAD.values()])
    stand.publish([("p", tick, CALM) for tick in range(20, 40)], partition=0)
    stand.serve_all()


def test_bad_records_go_to_dead_letters_as_they_came_and_good_ones_are_scored(stand: Stand) -> None:
    serve_good_and_bad(stand)
    dead = [(key, value) for _, key, value in stand.read("deadletters")]
    assert sorted(dead, key=str) == sorted(BAD.values(), key=str)
    assert [start for _, _, start, *_ in stand.scores()] == [at(tick) for tick in range(-3, 36, 2)]


def test_dead_letters_are_listed_with_where_they_came_from_and_why(stand: Stand, tmp_path: Path) -> None:
    serve_good_and_bad(stand)
    config = tmp_path / "streamae.toml"
    config.write_text(stand.toml())
    shown = CliRunner().invoke(app, ["deadletters", "list", str(config)])
    topic = stand.config.topics.readings
    assert shown.exit_code == 0
    assert f"{topic}[0]@20 undecodable: " in shown.stdout
    assert "key None, value " + BAD["no_series"][1].decode() in shown.stdout
    assert "8 dead letters: " in shown.stderr
    told = CliRunner().invoke(
        app, ["deadletters", "list", str(config), "--json", "--reason", "late", "--reason", "no_time"]
    )
    letters = [msgspec.json.decode(line) for line in told.stdout.splitlines()]
    assert {one["reason"]: (one["key"].encode(), one["value"].encode()) for one in letters} == {
        reason: BAD[reason] for reason in ("late", "no_time")
    }
    assert [(one["topic"], one["partition"], one["offset"]) for one in letters] == [(topic, 0, 23), (topic, 0, 27)]


@pytest.mark.parametrize("url", ["embedded"], indirect=True)
def test_a_dead_letter_of_another_hand_is_shown_as_it_is(stand: Stand, tmp_path: Path) -> None:
    stand.champion()
    stand.publish([("p", 0, CALM)])
    stand.serve_all()
    stand.write([Output(stand.config.topic("deadletters"), None, b"\xff\x00", 0, (("partition", b"first"),))])
    config = tmp_path / "streamae.toml"
    config.write_text(stand.toml())
    shown = CliRunner().invoke(app, ["deadletters", "list", str(config), "--json"])
    letter = msgspec.json.decode(shown.stdout)
    assert (letter["reason"], letter["offset"], letter["key"], letter["value"]) == ("unknown", -1, None, "\\xff\x00")


@pytest.mark.parametrize("url", ["kafka"], indirect=True)
def test_any_client_reads_the_reason_in_the_headers(stand: Stand) -> None:
    serve_good_and_bad(stand)
    consumer = KafkaConsumer(
        stand.config.topic("deadletters"),
        bootstrap_servers=stand.url.removeprefix("kafka://"),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        consumer_timeout_ms=5000,
    )
    found = []
    for letter in consumer:
        found.append((dict(letter.headers), letter.value))
        if len(found) == len(BAD):
            break
    consumer.close()
    assert {headers["reason"].decode(): value for headers, value in found} == {
        why: bad for why, (_, bad) in BAD.items()
    }
    assert {headers["topic"].decode() for headers, _ in found} == {stand.config.topics.readings}
    assert sorted(int(headers["offset"]) for headers, _ in found) == list(range(20, 28))
    assert all(headers["partition"] == b"0" and headers["detail"] for headers, _ in found)
