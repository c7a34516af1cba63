"""A tiny bench on a real broker: every figure is there, every window was scored, nothing stays behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from confluent_kafka.admin import AdminClient
from rich.console import Console

from streamae import cli
from streamae.bench import run as runs
from streamae.bench.figures import Served
from streamae.bench.load import CADENCE_MS, LEARN, Load, healthy_values, records
from streamae.bench.report import render
from streamae.bench.run import Bench, Plan
from streamae.detection.grid import Lateness
from streamae.detection.manifest import WindowSpec
from streamae.errors import ConfigError, StreamaeError
from tests.graphs import tiny_artifact
from tests.naive import NaiveWindower, Reading
from tests.serving.stand import wait_for

SPREADS = ["serve_us", "ort_us", "ort_us_per_window", "consume_us", "ratio", "readings_per_s", "windows_per_s"]
ARTIFACT = tiny_artifact(length=64, stride=16, cadence_ms=CADENCE_MS, threshold=1e9)


def left_behind(address: str) -> list[str]:
    """Topics and groups of benches on the broker."""
    admin = AdminClient({"bootstrap.servers": address})
    groups = [group.group_id for group in admin.list_consumer_groups(request_timeout=10).result(10).valid]
    return [name for name in [*admin.list_topics(timeout=10).topics, *groups] if name.startswith("streamae-bench")]


def test_a_run_has_every_figure_and_leaves_nothing_behind(kafka_address: str, tmp_path: Path) -> None:
    plan = Plan(f"kafka://{kafka_address}", series=100, channels=2, strides=(16, 1), readings=120_000, rounds=1)
    plan = plan._replace(uses=("embed", "impute"))
    told: list[str] = []
    result = Bench(plan, tmp_path, told.append).run(ARTIFACT)

    found = msgspec.to_builtins(result)
    assert [one["stride"] for one in found["strides"]] == [16, 1, 16, 16, 16]
    assert [one["uses"] for one in found["strides"]] == [(), (), ("embed",), ("impute",), ("embed", "impute")]
    for one in found["strides"]:
        assert all(0 < one[name]["low"] <= one[name]["median"] <= one[name]["high"] for name in SPREADS)
    assert found["strides"][1]["windows"] == 100 * (1200 - 1)  # every reading but a series' first closes one
    assert (found["load"]["readings"], found["load"]["partitions"], found["rounds"]) == (120_000, 4, 1)
    assert found["machine"]["cpu"] and {"onnxruntime", "librdkafka", "kafka-python"} <= set(found["versions"])
    assert len(told) == 6
    wait_for(lambda: not left_behind(kafka_address))

    console = Console(width=200, record=True, file=(tmp_path / "shown").open("w"))
    console.print(render(result))
    shown = console.export_text()
    assert (
        "serve / (both alone)" in shown
        and "serve / serve without uses" in shown
        and "Only ratios within one run compare" in shown
    )
    console.file.close()


@pytest.mark.parametrize(("length", "stride"), [(64, 1), (64, 16), (32, 7)])
def test_the_windows_that_are_due_are_those_of_the_slow_twin(length: int, stride: int) -> None:
    load = Load(series=25, channels=2, ticks=80, begin=29_000_000)
    spec = WindowSpec(length=length, stride=stride, cadence_ms=CADENCE_MS)
    twin = NaiveWindower(spec, Lateness(max_lag_ms=2 * length * CADENCE_MS), channels=2)
    count = 0
    for offset, (number, _, _, at) in enumerate(records(load)):
        count += len(twin.push(Reading(load.names[number], at, (0.0, 0.0), offset))[0])
    assert load.windows(length, stride) == count


def test_windows_that_are_missing_end_the_run(
    kafka_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "serve", lambda *arguments: Served(100, 1.0, 1.0, windows=7, alerts=0))
    plan = Plan(f"kafka://{kafka_address}", series=5, channels=2, strides=(16,), readings=200, rounds=1)
    with pytest.raises(StreamaeError, match="scored 7 windows"):
        Bench(plan, tmp_path, lambda what: None).run(ARTIFACT)
    wait_for(lambda: not left_behind(kafka_address))


def test_the_model_is_not_trained_on_the_load() -> None:
    load = Load(series=300, channels=4, ticks=50, begin=0)
    values = healthy_values(load)
    bodies = {bytes(value.partition(b",")[2]) for *_, value, _ in records(load)}
    learnt = {json.dumps(row) for row in np.asarray(values[:LEARN]).tolist()}
    served = {json.dumps(list(json.loads(b"{" + body).values())) for body in bodies}
    assert len(served) > 1000 and len(served & learnt) < len(served) / 100  # rounded, so that a few are equal


def test_it_needs_kafka(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give kafka://host:port"):
        Bench(Plan("embedded://plant.db"), tmp_path, lambda what: None)


def test_without_librdkafka_it_names_the_extra(
    forget: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forget("streamae.bench")
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.setattr(sys, "argv", ["streamae", "bench"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "pip install 'streamae[bench]'" in " ".join(capsys.readouterr().err.split())
