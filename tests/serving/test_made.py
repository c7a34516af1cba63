"""What else a service makes of windows, on topics of its own; what it cannot make is refused before it starts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from kafka import KafkaConsumer

from streamae import config as configs
from streamae.detection.artifact import Artifact
from streamae.doctor import examine, explain
from streamae.errors import ConfigError
from streamae.serving.models import Models
from tests.graphs import tiny_artifact
from tests.serving.fleet import USES
from tests.serving.process import Process
from tests.serving.stand import Stand, at, wait_for

LENGTH, STRIDE = 8, 4


def records(stand: Stand, topic: str) -> list[dict[str, Any]]:
    """All records of one of its topics; each is keyed by its series."""
    found = []
    for _, key, value in stand.read(topic):
        record = msgspec.json.decode(value or b"")
        assert record["series"] == (key or b"").decode()
        found.append(record)
    return found


def unable() -> Artifact:
    """A model that was never shown silence."""
    artifact = tiny_artifact(length=LENGTH, stride=STRIDE)
    assert artifact.repair is not None
    none = np.empty((0, 2), np.float32)
    return replace(artifact, repair=replace(artifact.repair, weight=none, spread=none))


@pytest.fixture
def making(stand: Stand) -> Stand:
    """A stand whose service makes all that can be made."""
    stand.changes = {**USES, "windows": {"length": LENGTH, "stride": STRIDE}}
    return stand


def test_a_gap_is_filled_and_marked_and_noise_is_halved(making: Stand) -> None:
    """The tiny model expects 0; what it leaves over is halved, and carried over a gap from both sides."""
    making.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    values = [1.0, 2.0, None, 4.0, 2.0, 2.0, 2.0, 2.0] + [0.0] * 16
    making.publish([("pump-1", tick, value) for tick, value in enumerate(values)], partition=0)
    making.serve_all()
    whole = {record["start"]: record for record in records(making, "imputed")}
    cells = {}
    for start, record in whole.items():
        assert (record["end"] - start, record["cadence_ms"], record["version"]) == (4000, 1000, "v0001")
        for tick, value in enumerate(record["channels"]["channel-0"]["values"]):
            cells[start + tick * 1000] = value
    assert [cells[at(tick)] for tick in range(5)] == [1.0, 2.0, 3.0, 4.0, 2.0]
    marked = [(record["start"], record["channels"]["channel-0"]) for record in whole.values()]
    assert [(start + one["filled"][0] * 1000, one["uncertainty"]) for start, one in marked if one["filled"]] == [
        (at(2), [1 / 16])
    ]
    cleaned = {}
    for record in records(making, "cleaned"):
        for tick, value in enumerate(record["channels"]["channel-0"]):
            cleaned[record["start"] + tick * 1000] = value
    assert [cleaned[at(tick)] for tick in range(5)] == [0.5, 1.0, None, 2.0, 1.0]
    (code,) = [one for one in records(making, "embeddings") if one["start"] <= at(0) < one["start"] + 4000]
    assert len(code["embedding"]) == 2
    assert code["observed"] > 0.5


def test_a_model_is_told_hour_and_mode_and_nobody_else_is(making: Stand) -> None:
    """Its code is the mean of each channel: of the cosine of the day, and of a mode that half of the time was."""
    tiny = tiny_artifact(length=LENGTH, stride=STRIDE, derived=["@day.cos", "@channel-1=2"])
    making.champion(tiny)
    making.publish([("pump-1", tick, 2.0 if tick % 2 else 1.0) for tick in range(40)], partition=0)
    making.serve_all()
    whole = [record for record in records(making, "embeddings") if record["observed"] == 1]
    assert len(whole) > 5
    for record in whole:
        _, _, cosine, mode = record["embedding"]
        middle = (record["start"] + record["end"] - 1000) / 2
        assert cosine == pytest.approx(np.cos(2 * np.pi * middle / 86_400_000), abs=1e-4)
        assert mode == pytest.approx(0.5)
    for topic in ("cleaned", "imputed"):
        assert {tuple(record["channels"]) for record in records(making, topic)} == {("channel-0", "channel-1")}


def test_anybody_can_subscribe(kafka_stand: Stand) -> None:
    """With a client of Kafka alone, and what it needs to see committed records only."""
    kafka_stand.changes = {**USES, "windows": {"length": LENGTH, "stride": STRIDE}}
    kafka_stand.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    kafka_stand.publish([("pump-1", tick, 1.0) for tick in range(40)], partition=0)
    kafka_stand.serve_all()
    address = kafka_stand.url.removeprefix("kafka://")
    plain = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "consumer_timeout_ms": 10_000}
    for topic in ("embeddings", "cleaned", "imputed"):
        consumer = KafkaConsumer(f"{kafka_stand.name}.{topic}", bootstrap_servers=address, **plain)
        record = next(consumer)
        consumer.close()
        assert record.key == b"pump-1"
        assert {"series", "version", "start", "end"} <= json.loads(record.value).keys()


def test_windows_of_which_little_was_observed_have_no_code(making: Stand) -> None:
    making.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    making.publish([("pump-1", tick, 1.0) for tick in (0, 40, 41, 42, 43, 44, 45, 46, 47, 60)], partition=0)
    making.serve_all()
    assert all(record["observed"] >= 0.5 for record in records(making, "embeddings"))
    first = [one for record in records(making, "cleaned") for one in record["channels"]["channel-0"] if one is not None]
    assert len(first) == 9  # every reading but the newest, whose windows are open


def test_a_champion_that_cannot_make_what_is_asked_for_does_not_take_over(making: Stand) -> None:
    able = making.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    making.publish([("pump-1", tick, 0.0) for tick in range(20)], partition=0)
    with making.running() as service:
        wait_for(lambda: sum(service().committed.values()) >= making.published)
        making.champion(unable())
        wait_for(lambda: service().models.failures == 1)
        assert service().models.champion_version == able
    assert {record["version"] for record in records(making, "imputed")} == {able}


def test_the_log_says_why_and_what_can(making: Stand) -> None:
    making.champion(unable())
    process = Process(making)
    process.start()
    try:
        wait_for(lambda: "$.serving.uses: " in process.said())
        assert "cannot impute: it was never shown silence. Train masked, denoising with" in process.said()
        assert "or leave that use out" in process.said()
    finally:
        process.close()


@pytest.mark.parametrize(
    ("serving", "training", "says"),
    [
        ('uses = ["impute"]', "", "lstm towards denoising cannot impute, .* train masked, denoising with `dropped`"),
        ('uses = ["impute"]', 'autoencoder = "kmeans"', "kmeans towards denoising cannot impute"),
        ('uses = ["impute"]', 'objective = { name = "denoising", noise = 0.2 }', "lstm towards denoising cannot"),
        ('uses = ["embed", "embed"]', "", "uses names one twice: embed, embed"),
        ('uses = ["dream"]', "", "Invalid enum value 'dream'"),
    ],
)
def test_a_use_that_the_kind_cannot_serve_is_refused_when_the_config_is_read(
    stand: Stand, serving: str, training: str, says: str
) -> None:
    text = stand.toml() + f"\n[training]\n{training}\n"
    with pytest.raises(ConfigError, match=says):
        configs.parse(text.replace("[serving]", f"[serving]\n{serving}"))


@pytest.mark.parametrize(
    "training", ['autoencoder = "pca"', 'objective = "masked"', 'objective = { name = "denoising", blocked = 0.1 }']
)
def test_kinds_that_can_are_accepted(stand: Stand, training: str) -> None:
    text = stand.toml() + f"\n[training]\n{training}\n"
    found = configs.parse(text.replace("[serving]", '[serving]\nuses = ["impute", "embed"]'))
    assert found.serving.uses == ("impute", "embed")


def test_check_names_the_topics_and_the_doctor_tries_what_the_champion_can(embedded: Stand) -> None:
    embedded.changes = {**USES, "windows": {"length": LENGTH, "stride": STRIDE}}
    said = " ".join(explain(embedded.config))
    assert f"embed: {embedded.name}.embeddings; clean: {embedded.name}.cleaned; impute: {embedded.name}.imputed" in said
    embedded.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    faults = [one.what for one in examine(embedded.config) if one.state == "fault"]
    assert any(f"{embedded.name}.imputed does not exist: start with --create-topics" in one for one in faults)
    assert not any("cannot impute" in one for one in faults)
    embedded.champion(unable())
    assert any("cannot impute" in one.what for one in examine(embedded.config) if one.state == "fault")


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_device_that_is_not_there_is_not_taken_for_a_use_that_cannot_be_served(embedded: Stand) -> None:
    version = embedded.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    models = Models(embedded.registry, "tiny", ("channel-0", "channel-1"), "cuda", ["embed"])
    with pytest.raises(ConfigError, match=r"^\$\.serving\.device: 'cuda' was asked for"):
        models.version(version)
