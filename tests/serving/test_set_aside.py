"""Records that cannot be readings: none is lost, none stops anything, and each says why it was set aside."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer
from typer.testing import CliRunner

from streamae.cli import app
from streamae.errors import TopicsError
from streamae.topics.topics import Output, TopicSpec
from tests.kafka.foreign import publish
from tests.serving.stand import CALM, HOT, Stand, at, reading
from tests.topics.member import drain


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


def test_a_dead_letter_is_cut_where_a_topic_would_not_take_it(stand: Stand) -> None:
    stand.champion()
    topic = stand.config.topics.readings
    stand.write([Output(topic, b"p", b"{" * 999_000, 0), Output(topic, b"k" * 1_000, b"{" * 1_040_000, 0)])
    stand.serve_all()
    assert stand.read("deadletters") == [(0, b"p", b"{" * 999_000), (0, b"k" * 1_000, b"{" * 999_000)]
    reader = stand.store.reader(stand.config.topic("deadletters"), "earliest")
    headers = [dict(one) for records in drain(reader) for one in records.headers]
    reader.close()
    assert [one.get("cut_from") for one in headers] == [None, b"1041000"]


def test_a_record_of_nothing_is_set_aside_as_one_of_no_bytes(kafka_address: str, kafka_stand: Stand) -> None:
    kafka_stand.champion()
    publish(kafka_address, kafka_stand.config.topics.readings, [(None, None), (b"p", reading(0, CALM))])
    kafka_stand.published += 2
    kafka_stand.serve_all()
    assert kafka_stand.read("deadletters") == [(0, None, b"")]  # kafka-python cannot write the other


def test_what_would_steer_a_terminal_is_shown_and_not_done(stand: Stand, tmp_path: Path) -> None:
    stand.champion()
    name = "[/red] pump\n\x1b[2J"
    stand.publish([(name, tick, HOT if tick < 20 else CALM) for tick in range(60)])
    stand.write([Output(stand.config.topics.readings, b"\x1b[2J", b"\x07{", 0)])
    stand.serve_all()
    config = tmp_path / "streamae.toml"
    config.write_text(stand.toml())
    alerts = CliRunner().invoke(app, ["alerts", str(config)])
    assert [line.partition(" since")[0] for line in alerts.stdout.splitlines()] == [
        f"{state:8} [/red] pump\\n\\x1b[2J" for state in ("firing", "resolved")
    ]
    letters = CliRunner().invoke(app, ["deadletters", "list", str(config)])
    assert r"key \x1b[2J, value \x07{" in letters.stdout
    assert "\x1b" not in alerts.stdout + letters.stdout


@pytest.mark.parametrize("url", ["embedded"], indirect=True)
def test_what_is_no_alert_is_named(stand: Stand, tmp_path: Path) -> None:
    stand.store.create([TopicSpec(stand.config.topic("alerts"), 2)])
    stand.write([Output(stand.config.topic("alerts"), b"p", b"{}", 1)])
    config = tmp_path / "streamae.toml"
    config.write_text(stand.toml())
    refused = CliRunner().invoke(app, ["alerts", str(config)])
    assert isinstance(refused.exception, TopicsError)
    assert re.search(r"\.alerts\[1\]@0 is no alert .*another program writes", str(refused.exception))


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
    headers = (("partition", b"first"), ("offset", b"9" * 5000))
    stand.write([Output(stand.config.topic("deadletters"), None, b"\xff\x00", 0, headers)])
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
