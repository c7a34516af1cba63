"""Images and compose file: what of them can be checked without a container engine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from streamae import cli
from streamae import config as configs
from streamae.demo import write_plant
from streamae.doctor import examine
from streamae.errors import TopicsError
from streamae.registry import Registry
from streamae.serving.child import free_port
from streamae.simulation import SimulationSpec
from streamae.topics import open_store
from streamae.topics.topics import TopicSpec
from tests.dockerfile import PYTHON_IMAGE, Instruction, Replay, exec_form, parse
from tests.graphs import tiny_artifact
from tests.kafka.broker import Broker
from tests.serving.stand import wait_for

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "deploy/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
CONSUMERS = ["consumer-0", "consumer-1"]
CONFIG = "/etc/streamae/plant.toml"
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SERVE, TRAIN = (parse(ROOT / "docker" / f"{name}.Dockerfile") for name in ("serve", "train"))
STAGES = {"streamae-serve": SERVE, "streamae-train": TRAIN}
BIN = Path(sys.executable).parent


def mounts(service: str) -> dict[str, str]:
    """Where a service's volumes are mounted, and what they are."""
    return {target: source for source, target, *_ in (each.split(":") for each in SERVICES[service].get("volumes", []))}


def config_of(service: str, monkeypatch: pytest.MonkeyPatch) -> configs.Config:
    """The config as a service reads it, with the service's environment."""
    for name, value in SERVICES[service]["environment"].items():
        monkeypatch.setenv(name, value)
    return configs.load(ROOT / "deploy" / mounts(service)[CONFIG])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles_are_clean(path: Path) -> None:
    done = subprocess.run([BIN / "hadolint", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_compose_file_keeps_to_the_schema() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("stages", [SERVE, TRAIN], ids=["serve", "train"])
def test_images_are_pinned_run_as_nobody_and_without_a_shell(stages: list[list[Instruction]]) -> None:
    assert all(stage[0].rest.split()[0] == PYTHON_IMAGE for stage in stages)
    last = {each.word: each.rest for each in stages[-1]}
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last["USER"])
    assert exec_form(stages[-1], "ENTRYPOINT") == ["streamae"]
    assert exec_form(stages[-1], "CMD")[1] == CONFIG
    assert "HEALTHCHECK" in last and "org.opencontainers.image.version" in last["LABEL"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_is_pinned_and_everything_named_is_there(service: str) -> None:
    facts = SERVICES[service]
    assert re.search(r":\d+\.\d+\.\d+$", facts["image"])
    for source in mounts(service).values():
        assert (ROOT / "deploy" / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
    for other, how in facts.get("depends_on", {}).items():
        ends = SERVICES[other].get("restart", "no") == "no"
        assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")
        assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("service", OURS)
def test_what_runs_in_a_container_fits_its_image_and_config(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = SERVICES[service]
    image, build = facts["image"].partition(":")[0], facts["build"]
    assert parse((ROOT / "deploy" / build["context"] / build["dockerfile"]).resolve()) == STAGES[image]
    arguments = {each.rest.partition("=")[0] for each in STAGES[image][0] if each.word == "ARG"}
    assert set(build.get("args", {})) <= arguments

    command = facts["command"]
    shown = CliRunner().invoke(cli.app, [command[0], "--help"])
    assert shown.exit_code == 0
    assert all(word in shown.output for word in command if word.startswith("--"))

    config = config_of(service, monkeypatch)
    places = mounts(service)
    assert config.registry in places
    made = next(each.rest for each in STAGES[image][-1] if "useradd" in each.rest)
    assert all(target in made for target, source in places.items() if not source.startswith("."))
    if image == "streamae-train":
        assert {str(Path(pattern).parent) for pattern in config.training.files} <= set(places)
    assert config.topics.store == f"kafka://{SERVICES['kafka']['environment']['KAFKA_ADVERTISED_LISTENERS'][12:]}"


def test_consumers_are_told_apart_and_seen_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [config_of(service, monkeypatch).serving for service in CONSUMERS]
    assert len({serving.instance for serving in found}) == len(CONSUMERS)
    ports = [SERVICES[service]["ports"][0].split(":") for service in CONSUMERS]
    assert len({port for _, port, _ in ports}) == len(CONSUMERS)
    for serving, (host, _, inside) in zip(found, ports, strict=True):
        assert (host, inside, serving.http_host) == ("127.0.0.1", str(serving.http_port), "0.0.0.0")
        assert f"127.0.0.1:{serving.http_port}/healthz" in exec_form(SERVE[-1], "HEALTHCHECK")[-1]
    exposed = next(each.rest for each in SERVE[-1] if each.word == "EXPOSE")
    assert exposed == str(found[0].http_port)


def readings_topic() -> TopicSpec:
    """The topic that the one-shot makes."""
    options = [word.removeprefix("--").partition("=") for word in SERVICES["topics"]["command"]]
    values = {name: value for name, _, value in options if name != "config"}
    settings = dict(value.split("=") for name, _, value in options if name == "config")
    return TopicSpec(values["topic"], int(values["partitions"]), settings)


def broker_settings() -> dict[str, str]:
    """What the broker is told, as the image makes properties of its environment; addresses and places are ours."""
    ours = ("listeners", "advertised.listeners", "log.dirs", "controller.quorum.voters")
    named = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    return {name: value for name, value in named.items() if name not in ours}


@pytest.fixture(scope="module")
def broker(kafka_address: str) -> Iterator[Broker]:
    """A broker with the settings of the compose file; skipped where none can be started."""
    with Broker(broker_settings()) as one:
        yield one


def test_the_broker_knows_its_settings(broker: Broker) -> None:
    said = broker.log.read_text()
    for name, value in broker_settings().items():
        assert f"{name} = " in said, f"{name} is no setting of a broker"
        assert f"{name} = {value}" in said or f"{name} = [{value.replace(',', ', ')}]" in said


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build stage of the serving image, replayed in a clean folder: its virtual environment."""
    root = tmp_path_factory.mktemp("serve-image")
    Replay(ROOT, root).run(SERVE[0])
    return root / "opt/streamae"


def run(image: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command with the image's PATH."""
    return subprocess.run(command, capture_output=True, text=True, env=inside(image, environment), cwd=image)


def inside(image: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a container."""
    return {"PATH": f"{image / 'bin'}:{os.defpath}", "HOME": "/nonexistent", **environment}


def test_the_serving_image_is_slim(image: Path) -> None:
    packages = {path.name for path in image.glob("lib/python3*/site-packages/*")}
    assert {"streamae", "kafka", "onnxruntime", "numpy"} <= packages
    assert not packages & {"torch", "pandas", "pyarrow", "onnx", "matplotlib", "sklearn", "confluent_kafka", "pip"}
    size = sum(path.stat().st_size for path in image.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < 250e6  # README.md of deploy/ says how much


def test_the_serving_image_checks_its_config_and_names_what_it_lacks(image: Path) -> None:
    environment = SERVICES["consumer-0"]["environment"]
    assert "serve" in run(image, "streamae", "--help").stdout
    checked = run(image, "streamae", "check", str(ROOT / "deploy/plant.toml"), **environment)
    assert checked.returncode == 0 and "reads plant.readings" in checked.stdout
    assert run(image, "streamae", "check", str(ROOT / "deploy/plant.toml")).returncode == 2
    trained = run(image, "streamae", "train", str(ROOT / "deploy/plant.toml"), **environment)
    assert trained.returncode == 2 and "streamae[train]" in " ".join(trained.stderr.split())


def register(folder: Path, channels: list[str]) -> None:
    """A champion for the config's channels."""
    artifact = tiny_artifact(channels=len(channels), length=32, stride=4, cadence_ms=60_000, name="pumps")
    named = [
        msgspec.structs.replace(one, name=name) for one, name in zip(artifact.manifest.channels, channels, strict=True)
    ]
    artifact = replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, channels=tuple(named)))
    registry = Registry(str(folder))
    registry.promote("pumps", registry.register(artifact).manifest.version, now_ms=0, why="first")


@contextmanager
def container(image: Path, command: list[str], environment: dict[str, str], log: Path) -> Iterator[Popen[bytes]]:
    """A container's process; killed at the end where it still runs."""
    with log.open("wb") as said, Popen(command, stdout=said, stderr=said, env=inside(image, environment)) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_consumer_serves_is_healthy_and_ends_in_order(
    image: Path, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, path, log = str(free_port()), tmp_path / "plant.toml", tmp_path / "log"
    text = (ROOT / "deploy/plant.toml").read_text().replace("/var/lib/streamae", str(tmp_path))
    path.write_text(text.replace("9464", port))
    environment = {**SERVICES["consumer-0"]["environment"], "KAFKA": broker.address}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = configs.load(path)
    register(tmp_path / "registry", list(config.readings.channels))
    with open_store(config.topics.store) as store:
        store.create([readings_topic()])

    check = [word.replace("9464", port) for word in exec_form(SERVE[-1], "HEALTHCHECK")]
    command = [word.replace(CONFIG, str(path)) for word in SERVICES["consumer-0"]["command"]]
    command = [str(image / "bin" / exec_form(SERVE[-1], "ENTRYPOINT")[0]), *command]
    assert run(image, *check).returncode != 0
    with container(image, command, environment, log) as process:
        wait_for(lambda: "serving pumps from plant.readings" in log.read_text())
        assert run(image, *check).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert [finding for finding in examine(config) if finding.state == "fault"] == []


def test_the_simulated_plant_takes_a_topic_that_was_made_for_it_and_no_used_one(tmp_path: Path) -> None:
    store = f"embedded://{tmp_path / 'topics.db'}"
    with open_store(store) as topics:
        topics.create([readings_topic()])
    spec = SimulationSpec(seed=0, end_ms=1_790_000_000_000, series=1, history_days=1, live_days=1)
    assert len(list(write_plant(tmp_path / "plant", spec, store, "plant"))) == 5
    with pytest.raises(TopicsError, match="holds readings already"):
        list(write_plant(tmp_path / "plant", spec, store, "plant"))
