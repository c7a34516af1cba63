"""Training from the topic of readings itself, between two event times."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from streamae import cli
from streamae import config as configs
from streamae.config import Config
from streamae.detection.alerts import Alert, ChannelShare, Offsets, Peak
from streamae.errors import ConfigError, DataError, TopicsError, Unreachable
from streamae.registry import Registry
from streamae.topics import open_store
from streamae.topics.topics import Output, TopicSpec
from streamae.training import episodes, files, job, report
from streamae.training.files import Table
from streamae.training.history import Gathered, gather
from streamae.training.material import prepare
from streamae.training.series import LeftOut
from tests.training.conftest import CADENCE_MS, CHANNELS, CONFIG, configured, fleet_frame

BASE_MS = 1_700_000_000_000  # of the frame's first reading


@dataclass
class Topics:
    """The readings of a frame on a topic, and the alerts of a service."""

    url: str
    name: str
    folder: Path

    def __post_init__(self) -> None:
        self.store = open_store(self.url)
        keep = {"retention.ms": "-1"}  # the frame's times are past, and a broker deletes what is
        self.store.create([TopicSpec(f"{self.name}.{kind}", 2, keep) for kind in ("readings", "alerts")])

    def config(self, training: str = "topic_days = 28.0") -> Config:
        """The config of the small fleet on these topics; `training` are lines of that section."""
        return configs.parse(self.text(training), self.folder)

    def text(self, training: str) -> str:
        """The TOML of that config."""
        text = CONFIG.replace("NAME", "pca").replace('"plant"', f'"{self.name}"')
        text = text.replace('"embedded:///plant.db"', f'"{self.url}"').replace('"readings"', f'"{self.name}.readings"')
        return text + training

    def write(self, outputs: list[Output]) -> None:
        """Write records as they are."""
        writer = self.store.writer()
        writer.write(outputs)
        writer.close()

    def publish(self, frame: pd.DataFrame) -> None:
        """Write the readings of a frame as a plant would, each series in one partition."""
        rows: Any = frame.astype(object).where(frame.notna(), None).to_dict("records")
        self.write([self.record(row) for row in rows])

    def record(self, row: dict[str, Any], timestamp: int | None = None, partition: int | None = None) -> Output:
        """One reading."""
        value = msgspec.json.encode({key: one for key, one in row.items() if key != "series"})
        at = row["time"] if timestamp is None else timestamp
        return Output(f"{self.name}.readings", row["series"].encode(), value, partition, timestamp=at)

    def alert(self, series: str, start: int, end: int | None = None, **changes: Any) -> None:
        """One record of an episode, its times in ticks of the frame."""
        first, last = at(start), None if end is None else at(end)
        facts = {
            "id": f"{series}|{start}",
            "state": "firing" if end is None else "resolved",
            "reason": None if end is None else "recovered",
            "model": "machines",
            "version": "v0001",
            "series": series,
            "start": first,
            "end": last,
            "peak": Peak(first, 3.0),
            "confirmed": True,
            "threshold": 1.0,
            "channels": (ChannelShare("heat", 1.0, None, 3.0),),
            "observed": 1.0,
            "source": Offsets("readings", 0, 0, 1),
        }
        value = msgspec.json.encode(Alert(**{**facts, **changes}))
        self.write([Output(f"{self.name}.alerts", series.encode(), value)])


def at(tick: int) -> int:
    """The event time of a tick of the frame."""
    return BASE_MS + tick * CADENCE_MS


@pytest.fixture(params=["embedded", "kafka"])
def topics(request: pytest.FixtureRequest, tmp_path: Path, topic_name: Callable[[str], str]) -> Iterator[Topics]:
    """Fresh topics on each store."""
    url = f"embedded://{tmp_path / 'topics.db'}"
    if request.param == "kafka":
        url = f"kafka://{request.getfixturevalue('kafka_address')}"
    made = Topics(url, topic_name("plant"), tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Topics]:
    """Fresh topics in one file, for what does not depend on the store."""
    made = Topics(f"embedded://{tmp_path / 'topics.db'}", "plant", tmp_path)
    yield made
    made.store.close()


def sorted_rows(table: Table) -> list[tuple[Any, ...]]:
    """A row a reading: series, time, and its values as text, for NaN is not even itself."""
    names = [table.names[series] for series in table.series.tolist()]
    return sorted(zip(names, table.time.tolist(), map(repr, table.values.tolist()), strict=True))


def test_a_topic_gives_the_table_that_files_give_for_the_same_readings(topics: Topics, tmp_path: Path) -> None:
    frame = fleet_frame(700)
    frame["level"] = 1e12 + np.round(frame["level"])  # float32 would hold none of it
    topics.publish(frame)
    frame.to_parquet(tmp_path / "readings.parquet")
    stored = files.read([str(tmp_path / "*.parquet")], CHANNELS)
    gathered = gather(topics.config())
    assert gathered.table.names == stored.names
    assert gathered.table.values.dtype == np.float64
    assert sorted_rows(gathered.table) == sorted_rows(stored)
    assert (gathered.left_out, gathered.notes) == ((), ())


def test_only_the_readings_between_two_event_times_count(topics: Topics) -> None:
    """Whatever their records' own timestamps are: some were uploaded late, some clocks ran ahead."""
    rows: list[dict[str, Any]] = [{"series": "m1", "time": at(tick), "level": float(tick)} for tick in range(100)]
    outputs = [topics.record(row, timestamp=row["time"] - 3_000_000) for row in rows[::2]]
    outputs += [topics.record(row, timestamp=at(1000)) for row in rows[1::2]]
    topics.write(outputs)
    for config in (topics.config(), topics.config('files = ["none.csv"]')):  # whatever the config names
        table = gather(config, at(60), at(40)).table
        assert sorted(table.time.tolist()) == [at(tick) for tick in range(40, 60)]
        assert np.isnan(table.values[:, 1:]).all()
    assert sorted(gather(topics.config(), since_ms=at(90)).table.time.tolist()) == [at(tick) for tick in range(90, 100)]
    days = topics.config("topic_days = 0.0001")  # 8.64 s
    assert sorted(gather(days, at(50)).table.time.tolist()) == [at(tick) for tick in range(42, 50)]
    assert sorted(gather(days).table.time.tolist()) == [at(tick) for tick in range(91, 100)]


def test_the_newest_days_are_counted_from_the_newest_reading_though_old_ones_were_written_after_it(
    embedded: Topics,
) -> None:
    now = int(time.time() * 1000)
    rows: list[dict[str, Any]]
    rows = [{"series": "m1", "time": now - back, "level": 1.0} for back in (7_000_000, 7_005_000, 9_000_000_000)]
    embedded.write([embedded.record(row, row["time"]) for row in rows[:2]])
    embedded.write([embedded.record(rows[2], now)])  # an upload of last year's readings
    assert len(gather(embedded.config("topic_days = 0.0001")).table) == 2


def test_files_are_cut_at_the_end_and_never_ask_the_store(tmp_path: Path) -> None:
    fleet_frame(100).to_parquet(tmp_path / "readings.parquet")
    text = CONFIG.replace("NAME", "pca").replace("embedded:///plant.db", "kafka://nowhere:1")
    config = configs.parse(text + 'files = ["*.parquet"]', tmp_path)
    assert len(gather(config).table) == 200
    assert len(gather(config, at(10)).table) == 20
    with pytest.raises(DataError, match="no readings before 2023-11-14T22:13:20Z; give older ones"):
        gather(config, at(0))


def test_what_is_no_reading_is_counted_and_said_and_published_nowhere(embedded: Topics) -> None:
    row = {"series": "m1", "time": at(0), "level": 1.0}
    records = [embedded.record(row, partition=0), embedded.record({**row, "time": at(1)}, partition=1)]
    records += [embedded.record({**row, "time": at(9)}, timestamp=at(9) - 3_700_000)]
    records += [records[0]._replace(value=b"no json"), records[0]._replace(value=b'{"time": 1, "level": "high"}')]
    records += [records[0]._replace(key=None), records[1]._replace(value=None)]
    embedded.write(records)
    before = embedded.store.describe(["plant.deadletters"])
    dead, torn = gather(embedded.config()).notes
    said, reasons = dead.split(": ")[1:]
    assert said == "5 of 7 records are no readings"
    assert sorted(reasons.split(", ")) == ["1 ahead", "1 no_series", "1 wrong_type", "2 undecodable"]
    assert torn == "plant.readings: series in several partitions, so nobody knows their order: m1"
    assert embedded.store.describe(["plant.deadletters"]) == before == {"plant.deadletters": None}


def test_only_the_series_that_the_service_selects_are_read(embedded: Topics) -> None:
    embedded.publish(fleet_frame(50))
    config = embedded.config()
    chosen = msgspec.structs.replace(config, readings=msgspec.structs.replace(config.readings, series="m2*"))
    assert gather(chosen).table.names == ("m2",)


def test_the_later_record_of_a_tick_wins(embedded: Topics) -> None:
    row = {"series": "m1", "time": at(0)}
    embedded.write([embedded.record({**row, "level": level}) for level in (5.0, 7.0)])
    assert gather(embedded.config()).table.values[:, 0].tolist() == [5.0, 7.0]


def test_progress_is_told(embedded: Topics) -> None:
    embedded.publish(fleet_frame(50))
    told: list[int] = []
    gather(embedded.config(), since_ms=0, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 100


def test_a_topic_that_has_nothing_to_train_on_says_what_it_has(topics: Topics) -> None:
    with pytest.raises(DataError, match="holds no readings from 1970-01-01T00:00:00Z on; the topic is empty"):
        gather(topics.config())
    with pytest.raises(DataError, match=r"holds no readings from .* on; the topic is empty"):
        gather(topics.config(), since_ms=at(0))
    topics.write([topics.record({"series": "m1", "time": at(0)})._replace(value=b"no json")])
    with pytest.raises(DataError, match=r"holds no readings from .* on; 1 records are no readings: 1 undecodable"):
        gather(topics.config())
    topics.publish(fleet_frame(20))
    there = "those that were read are of 2023-11-14T22:13:20Z to 2023-11-14T22:13:39Z"
    for until, since in ((at(-5), at(-50)), (at(9000), at(8000))):
        with pytest.raises(DataError, match=rf"readings holds no readings from 2023-.*Z to 2023-.*Z; {there}"):
            gather(topics.config(), until, since)
    with pytest.raises(ConfigError, match=r"there is no time from 2023-.* to 2023-.*: give an earlier start"):
        gather(topics.config(), at(5), at(5))


def test_topics_that_cannot_be_read(embedded: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    config = embedded.config()
    missing = msgspec.structs.replace(config, topics=msgspec.structs.replace(config.topics, readings="other"))
    with pytest.raises(TopicsError, match=r"the topic other does not exist at .*: correct \$.topics.readings"):
        gather(missing)
    monkeypatch.setattr(episodes, "QUIET_S", -1.0)
    monkeypatch.setattr("streamae.topics.embedded_ends.EmbeddedReader.caught_up", lambda reader: False)
    with pytest.raises(Unreachable, match=r"plant.readings: nothing came within .*, though there is more to read"):
        gather(config, since_ms=0)


def test_alerted_times_are_left_out_and_said_so(topics: Topics) -> None:
    topics.publish(fleet_frame(2000))
    topics.alert("m1", 300)
    topics.alert("m1", 300, 500)
    trained = job.train(topics.config())
    found = trained.manifest.report["left_out"]
    assert (found["spans"], found["hours"], found["share"]) == (1, 0.06, 0.05)
    assert found["series"] == [["m1", 0.06, 0.1]]
    console = Console(width=200)
    with console.capture() as said:
        console.print(report.render(trained.manifest.report))
    assert "1 alerted or labelled times, 0.06 h, 5.0% of all; most of it: m1 0.06 h (10%)" in said.get()
    whole = prepare(topics.config(), gather(topics.config("topic_days = 28.0\nleave_out_alerts = false")).table)
    assert trained.manifest.report["windows"] == len(whole.fit.learn) - 200 - 15


def test_the_newest_record_of_an_episode_counts(embedded: Topics) -> None:
    embedded.publish(fleet_frame(200))
    embedded.alert("m1", 10)  # never resolved: lasts to the end
    embedded.alert("m2", 20, 40)
    embedded.alert("m2", 20, 60)
    embedded.alert("m2", 70, 90, reason="withdrawn")
    embedded.alert("m2", -50, 5)  # began before
    embedded.alert("m2", 300, 400)  # is of later
    embedded.alert("m2", 100, 120, model="others")
    embedded.alert("stranger", 100, 120)
    embedded.write([Output("plant.alerts", b"m1", value) for value in (b"{}", b"\xff", None)])
    found = gather(embedded.config(), since_ms=at(0))
    assert [
        (one.series, (one.start - BASE_MS) / CADENCE_MS, (one.end - BASE_MS) / CADENCE_MS) for one in found.left_out
    ] == [
        ("m1", 10, 199.001),
        ("m2", 0, 5),
        ("m2", 20, 60),
        ("m2", 70, 90),
    ]
    assert found.notes == ("plant.alerts: 3 records are no alerts, and were passed over",)
    assert gather(embedded.config(), at(30), at(15)).left_out == (
        LeftOut("m1", at(15), at(30)),
        LeftOut("m2", at(20), at(30)),
    )
    assert gather(embedded.config("topic_days = 28.0\nleave_out_alerts = false")).left_out == ()


def test_a_service_that_never_alerted_leaves_nothing_out(embedded: Topics) -> None:
    embedded.publish(fleet_frame(50))
    other = msgspec.structs.replace(embedded.config(), service="other")
    assert (gather(other).left_out, gather(other).notes) == ((), ())


def test_a_series_of_which_most_is_left_out_is_named_with_what_to_do(embedded: Topics) -> None:
    embedded.publish(fleet_frame(1000))
    embedded.alert("m1", 100)
    notes = prepare(embedded.config(), gather(embedded.config()).table, gather(embedded.config()).left_out).notes
    (note,) = (one for one in notes if "left out" in one)
    assert note.startswith("more than half of the fit span is left out of m1 (82%). If that is normal from now on, ")
    embedded.alert("m2", 0)
    embedded.alert("m1", 0)
    with pytest.raises(DataError, match=r"no reading to fit on: .* span fit is .* all of that is silent or left out"):
        job.train(embedded.config())


def test_notes_of_what_was_gathered_are_in_the_report(frame: pd.DataFrame) -> None:
    gathered = Gathered(files.table(frame, CHANNELS), (LeftOut("m1", at(0), at(10)),), ("what was odd",))
    found = job.train(configured(), gathered, left_out=[LeftOut("m2", at(0), at(10))]).manifest.report
    assert found["notes"][0] == "what was odd"
    assert found["left_out"]["spans"] == 2


def test_the_command_line_trains_on_the_topic_between_two_times(
    embedded: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    embedded.publish(fleet_frame(1000))
    path = embedded.folder / "plant.toml"
    path.write_text(embedded.text(""))

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["streamae", "train", str(path), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    assert run("--since", "2023-11-14T22:13:20Z", "--until", "2023-11-14T23:26:40+01:00", "--json") == 0
    manifest = Registry(embedded.folder / "registry").load("machines", "v0001").manifest
    assert manifest.spans["fit"].start == at(0)
    assert max(span.end for span in manifest.spans.values()) == at(800)
    capsys.readouterr()
    for arguments, says in (
        (("--until", "2023-11-14T22:26:40"), "--until without --since: give both"),
        (("--since", "yesterday"), "give a time like 2026-11-01T00:00:00Z, not 'yesterday'"),
        (("--since", "2023-11-15", "--until", "2023-11-14"), "give an earlier start"),
    ):
        assert run(*arguments) == 2
        assert says in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_files_and_topic_days_exclude_each_other(embedded: Topics) -> None:
    with pytest.raises(ConfigError, match=r"\$.training.files and \$.training.topic_days are both given"):
        embedded.config('files = ["a.csv"]\ntopic_days = 28')
