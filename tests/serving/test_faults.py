"""Transactions that fail at every step, and members that come and go: the outputs stay those of an undisturbed run."""

from __future__ import annotations

from itertools import chain
from random import Random
from typing import get_args

import pytest

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
