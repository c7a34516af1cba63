"""The page that scrapers and probes read: /metrics and /healthz."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamae.serving.service import Service
from streamae.serving.telemetry import Page, Telemetry
from streamae.topics.topics import Output
from tests.serving.stand import CALM, Stand, at, wait_for
from tests.serving.test_stories import fleet

Samples = dict[tuple[str, ...], float]  # name and values of its labels -> value


@contextmanager
def page_of(service: Service) -> Iterator[str]:
    """The address of a service's page."""
    page = Page(service.telemetry, "127.0.0.1", 0, service.health)
    try:
        yield f"http://127.0.0.1:{page.port}"
    finally:
        page.close()


def samples(address: str) -> Samples:
    """What a scraper reads."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=5) as page:
        families = text_string_to_metric_families(page.read().decode())
        return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def health(address: str) -> tuple[int, dict[str, Any]]:
    """What a probe reads: status and facts."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=5) as page:
            return page.status, json.load(page)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def lags(address: str) -> dict[str, float]:
    """What each partition was behind, when that was last measured."""
    return {key[1]: value for key, value in samples(address).items() if key[0] == "streamae_lag_records"}


def test_metrics_count_what_was_published(stand: Stand) -> None:
    stand.champion()
    stand.changes["readings"] = {"series": "pump-*"}
    stand.publish(fleet())
    stand.publish([("fan-1", tick, CALM) for tick in range(7)])
    stand.write([Output(stand.config.topics.readings, b"pump-1", b"{", 1, (), at(80)) for _ in range(3)])
    with stand.running() as service, page_of(service()) as address:
        wait_for(lambda: sum(service().committed.values()) >= stand.published)
        wait_for(lambda: lags(address) == {"0": 0, "1": 0})
        seen = samples(address)
        status, facts = health(address)
    alerts = stand.alerts()
    assert seen["streamae_readings_total",] == stand.published
    assert seen["streamae_skipped_total",] == 7
    assert seen["streamae_dead_letters_total", "undecodable"] == 3 == len(stand.read("deadletters"))
    assert seen["streamae_windows_total",] == len(stand.scores())
    for state in ("firing", "resolved"):
        assert seen["streamae_alerts_total", state] == sum(alert.state == state for alert in alerts) == 5
    assert seen["streamae_partitions", "running"] == seen["streamae_restores_total",] == 2
    assert seen["streamae_lag_records", "1"] == seen["streamae_episodes_firing",] == 0
    assert seen["streamae_series",] == 5
    assert seen["streamae_model_info", "tiny", "v0001"] == 1
    assert max(seen["streamae_event_time_seconds", str(number)] for number in range(2)) == at(79) / 1000
    assert (status, facts["healthy"], facts["version"]) == (200, True, "v0001")
    assert sum(facts["committed"].values()) == stand.published


def test_a_partition_that_went_to_another_worker_is_measured_no_more() -> None:
    telemetry, source = Telemetry(), SimpleNamespace(lag=lambda number: 7)
    partition = SimpleNamespace(detector=SimpleNamespace(series=[], open_episodes=0, partition_newest=None))
    measure: Callable[..., None] = telemetry.measure
    measure({0: partition, 1: partition}, {}, source)
    measure({1: partition}, {"restoring": 1}, source)
    for name, told in (("streamae_lag_records", 7), ("streamae_event_time_seconds", 0)):
        values = [telemetry.registry.get_sample_value(name, {"partition": number}) for number in "01"]
        assert values == [None, told]


def test_records_that_are_read_again_are_not_counted_again(stand: Stand) -> None:
    stand.champion()
    stand.changes["readings"] = {"series": "pump-*"}
    stand.publish([(name, tick, CALM) for tick in range(9) for name in ("pump-1", "fan-1")], 0)
    stand.serve_all()
    stand.publish([("pump-1", 9, CALM)], 0)
    with stand.running() as service, page_of(service()) as address:
        wait_for(lambda: service().committed.get(0) == 19)
        seen = samples(address)
    assert seen["streamae_readings_total",] == 1
    assert seen["streamae_skipped_total",] == 0


def test_a_series_in_two_partitions_is_named_and_counted(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.champion()
    for partition in (0, 1):
        stand.publish([("torn", tick, CALM) for tick in range(10)], partition)
        stand.publish([(f"whole-{partition}", tick, CALM) for tick in range(10)], partition)
    with stand.running() as service, page_of(service()) as address:
        wait_for(lambda: "the series 'torn' is in more than one partition" in caplog.text)
        assert samples(address)["streamae_torn_series_total",] == 1
    assert "whole" not in caplog.text


def test_a_loop_without_progress_is_not_healthy(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.champion()
    with stand.running() as service, page_of(service()) as address:
        stalled: Callable[[], float] = lambda: 16.0  # noqa: E731
        monkeypatch.setattr(service().watchdog, "stalled_s", stalled)
        assert health(address)[0] == 503
        monkeypatch.undo()
        assert health(address)[0] == 200
