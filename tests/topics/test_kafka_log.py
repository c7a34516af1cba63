"""What kafka-python says: written once a minute, heard by whoever asks for a cause."""

from __future__ import annotations

import logging

import pytest

from streamae.topics import kafka_log
from streamae.topics.kafka_log import REPEAT_S, cause, heard, quieten

CONNECTION, MANAGER = (logging.getLogger(f"kafka.net.{name}") for name in ("connection", "manager"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as a test sets it."""
    now = [1000.0]
    monkeypatch.setattr(kafka_log, "monotonic", lambda: now[0])
    return now


def test_a_broker_that_is_down_is_told_of_once_a_minute(caplog: pytest.LogCaptureFixture, clock: list[float]) -> None:
    quieten()

    def outage() -> int:
        caplog.clear()
        for node in range(40):
            CONNECTION.error("%s: Connection lost: %s", f"node_id={node}", "ECONNREFUSED")
            MANAGER.error(f"Bootstrap attempt to {node} failed: no answer (backoff {node / 7:.2f} secs)")
        return len(caplog.records)

    assert outage() == 2
    clock[0] += REPEAT_S / 2
    assert outage() == 0
    clock[0] += REPEAT_S / 2
    assert outage() == 2


def test_what_is_no_fault_is_written_each_time(caplog: pytest.LogCaptureFixture) -> None:
    quieten()
    with caplog.at_level(logging.INFO, CONNECTION.name):
        for _ in range(3):
            CONNECTION.info("%s: Connected", "node_id=1")
    assert len(caplog.records) == 3


def test_a_cause_is_heard_though_it_is_not_written_again(caplog: pytest.LogCaptureFixture) -> None:
    said = "Bootstrap connection to %s failed: %s (backoff %.2f secs)"
    with heard() as before:
        MANAGER.warning(said, "bootstrap-0", "SaslAuthenticationFailedError: wrong password", 0.1)
    caplog.clear()
    with heard() as lines:
        MANAGER.warning(said, "bootstrap-0", "[Errno 111] ECONNREFUSED", 0.1)
    MANAGER.warning(said, "bootstrap-0", "after that", 0.1)
    assert cause(before) == "SaslAuthenticationFailedError: wrong password"
    assert cause(lines) == "[Errno 111] ECONNREFUSED"
    assert not caplog.records
