"""Transactions that fail at every step, and members that come and go: the outputs stay those of an undisturbed run."""

from __future__ import annotations

import threading
import time
from itertools import chain
from random import Random
from typing import get_args

import pytest

from streamae.serving import loop
from streamae.topics.embedded_sink import EmbeddedSink
from tests.graphs import tiny_artifact
from tests.serving.failing import Fault, failing
from tests.serving.fleet import LENGTH, SETTINGS, STRIDE, fleet_log
from tests.serving.kills import published
from tests.serving.outcome import Outcome
from tests.serving.stand import Stand, wait_for

FAULTS: list[Fault] = [fault for fault in get_args(Fault) if fault != "none"]


@pytest.fixture
def fleet(large: Stand) -> Stand:
    """A stand for a fleet whose log is not yet published."""
    large.changes = dict(SETTINGS)
    large.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    return large


def undisturbed(stand: Stand) -> Outcome:
    """What comes of the same readings where nothing happens."""
    twin = stand.twin(open=Stand.open)
    twin.serve_all()
    outcome = Outcome.of(twin)
    twin.close()
    assert len(outcome.kinds["alerts"]) > 30
    return outcome


def test_a_transaction_that_fails_at_any_step_changes_nothing(fleet: Stand, caplog: pytest.LogCaptureFixture) -> None:
    met: list[Fault] = []
    fleet.open = failing(chain.from_iterable(("none", fault) for fault in FAULTS), met)
    log = fleet_log(fleet.config.topics.readings, seed=5, ticks=200)
    with fleet.running() as service:
        with published(fleet, log, per_second=250):
            wait_for(lambda: len(met) == len(FAULTS))
        wait_for(lambda: sum(service().committed.values()) >= fleet.published)
    assert met == FAULTS
    assert "connecting again" not in caplog.text
    assert Outcome.of(fleet).equals(undisturbed(fleet))


def test_transactions_that_fail_at_random_change_nothing(fleet: Stand) -> None:
    random, met = Random(7), list[Fault]()
    fleet.open = failing((random.choice([*FAULTS, "none", "none"]) for _ in range(25)), met)
    log = fleet_log(fleet.config.topics.readings, seed=6, ticks=250)
    with fleet.running() as service:
        with published(fleet, log, per_second=250):
            wait_for(lambda: len(met) > 10, 40)
        wait_for(lambda: sum(service().committed.values()) >= fleet.published, 40)
    assert Outcome.of(fleet).equals(undisturbed(fleet))


def test_a_full_disk_is_waited_for_without_haste_and_said_once(
    embedded: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full, begin = threading.Event(), EmbeddedSink.begin

    def begin_within_bounds(sink: EmbeddedSink) -> None:
        """SQLite grows a file no further than it may, which is never less than it has."""
        sink._log.db.execute(f"PRAGMA max_page_count={1 if full.is_set() else 2**31}")
        begin(sink)

    monkeypatch.setattr(EmbeddedSink, "begin", begin_within_bounds)
    monkeypatch.setattr(loop, "PAUSE_S", 1.0)  # so long that no busy machine takes it for one try
    embedded.changes = dict(SETTINGS)
    embedded.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    log = fleet_log(embedded.config.topics.readings, seed=8, ticks=200)
    with embedded.running() as service:
        failed = service().telemetry.transactions.labels("failed")._value
        with published(embedded, log, per_second=500):
            wait_for(lambda: sum(service().committed.values()) > 200)
            full.set()
            began = time.monotonic()
            wait_for(lambda: failed.get() > 6)
            lasted_s, healthy = time.monotonic() - began, service().health()["healthy"]
            full.clear()
        wait_for(lambda: sum(service().committed.values()) >= embedded.published)
        said = caplog.text.count("full. Free some space")
    assert healthy
    assert 0 < said == caplog.text.count("transactions succeed again")
    assert lasted_s > (6 - said) * loop.PAUSE_S > 0
    assert Outcome.of(embedded).equals(undisturbed(embedded))
