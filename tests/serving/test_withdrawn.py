"""Permissions and passwords that are withdrawn from a running service: it says so, waits, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.graphs import tiny_artifact
from tests.kafka.secure import PASSWORD, SecureBroker
from tests.serving.fleet import LENGTH, SETTINGS, STRIDE, fleet_log
from tests.serving.kills import published
from tests.serving.outcome import Outcome
from tests.serving.process import Process
from tests.serving.stand import Stand, wait_for


@pytest.fixture
def guarded(secure_broker: SecureBroker, tmp_path: Path, topic_name: Callable[[str], str]) -> Iterator[Stand]:
    """A stand whose service has to log in."""
    changes = {**SETTINGS, "topics": secure_broker.topics()}
    made = Stand(f"kafka://{secure_broker.address('PLAINTEXT')}", topic_name("plant"), tmp_path, 2, changes)
    made.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kind", "operation", "says"),
    [
        ("alerts", "WRITE", "a transaction failed"),
        ("readings", "READ", "trying on: "),
        ("state", "READ", "] waits: "),
    ],
)
def test_a_permission_that_is_withdrawn_is_waited_for(
    guarded: Stand, secure_broker: SecureBroker, kind: str, operation: str, says: str
) -> None:
    log = fleet_log(guarded.config.topics.readings, seed=3, ticks=160)
    topic = guarded.config.topics.readings if kind == "readings" else guarded.config.topic(kind)
    process = Process(guarded)
    process.start()
    try:
        with published(guarded, log, per_second=250):
            wait_for(lambda: process.committed() > 1500)
            with secure_broker.denied(topic, operation):
                if kind == "state":  # read at a restore only
                    process.kill()
                    process.start()
                wait_for(lambda: says in process.said())
                assert "not allowed" in process.said() or "AuthorizationFailed" in process.said()
                assert process.exit_code is None
        wait_for(lambda: process.committed() >= guarded.published)
        assert process.stop() == 0
        assert "connecting again" not in process.said()  # it stayed a member, and tried on
    finally:
        process.close()
    undisturbed = guarded.twin(changes=SETTINGS)
    undisturbed.serve_all()
    assert Outcome.of(guarded).equals(Outcome.of(undisturbed))
    undisturbed.close()
    assert PASSWORD not in process.said()


def test_a_password_that_is_withdrawn_is_waited_for(guarded: Stand, secure_broker: SecureBroker) -> None:
    """It is asked for when a transaction has failed: the next one needs a connection of its own."""
    guarded.changes = {**guarded.changes, "serving": {"scores": "packed"}}
    log = fleet_log(guarded.config.topics.readings, seed=4, ticks=120)
    process = Process(guarded)
    process.start()
    try:
        with published(guarded, log, per_second=250):
            wait_for(lambda: process.committed() > 200)
            with secure_broker.another_password(), secure_broker.denied(guarded.config.topic("scores"), "WRITE"):
                wait_for(lambda: "trying on: " in process.said() and "check sasl_plain_username" in process.said())
                assert process.exit_code is None
        wait_for(lambda: process.committed() >= guarded.published)
        assert process.stop() == 0
    finally:
        process.close()
