"""Fixtures for tests on a real broker. In tests/conftest.py: `from tests.kafka.fixtures import *`."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.kafka.broker import Broker, BrokerMissing

if TYPE_CHECKING:
    from tests.kafka.secure import SecureBroker

__all__ = ["kafka_address", "pytest_terminal_summary", "secure_broker", "topic_name"]

# Warnings are errors here, and kafka-python reads its schemas with functions that Python 3.11 calls deprecated.
with warnings.catch_warnings(), suppress(ImportError):
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka  # noqa: F401

_MISSING = "TESTS ON KAFKA DID NOT RUN"


@pytest.fixture(scope="session")
def kafka_address() -> Iterator[str]:
    """The address of a broker for this session: `STREAMAE_TEST_KAFKA`, or one of our own.

    Where none can be started, tests that need it are skipped, loudly; on CI they fail.
    """
    given = os.environ.get("STREAMAE_TEST_KAFKA")
    if given:
        yield given
        return
    try:
        broker = Broker().start()
    except BrokerMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"tests on Kafka must run here: {error}", pytrace=False)
        pytest.skip(f"{_MISSING}: {error}")
    try:
        yield broker.address
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def secure_broker(kafka_address: str) -> Iterator[SecureBroker]:
    """A broker that demands TLS and passwords, one for all tests of a file; skipped where none can be started."""
    from tests.kafka.secure import SecureBroker

    with SecureBroker() as made:
        yield made


@pytest.fixture
def topic_name() -> Callable[[str], str]:
    """A function that makes a fresh name of a topic, group or service from a prefix."""

    def fresh(prefix: str = "topic") -> str:
        return f"{prefix}-{uuid.uuid4().hex[:8]}"

    return fresh


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, in red, that tests on Kafka did not run."""
    skipped = [report.longrepr for report in terminalreporter.getreports("skipped")]
    reasons = [one[2] for one in skipped if isinstance(one, tuple) and _MISSING in one[2]]
    if reasons:
        terminalreporter.write_line(reasons[0].splitlines()[0], red=True, bold=True)
