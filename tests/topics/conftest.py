"""Both stores, and what their tests do over and over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamae.topics import kafka_log
from streamae.topics.embedded import EmbeddedStore
from streamae.topics.topics import TopicStore
from tests.topics.member import Stage


@pytest.fixture(autouse=True)
def news() -> None:
    """What kafka-python said in another test is no reason to be silent in this one."""
    kafka_log._QUIET.said.clear()


@pytest.fixture(params=["embedded", "kafka"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TopicStore]:
    """Each store in turn: every test that takes it is part of the contract."""
    if request.param == "embedded":
        with EmbeddedStore(tmp_path / "topics.db", busy_s=1.0) as embedded:
            yield embedded
    else:
        address = request.getfixturevalue("kafka_address")
        from streamae.topics.kafka import KafkaStore

        with KafkaStore(address) as kafka:
            yield kafka


@pytest.fixture
def stage(store: TopicStore, topic_name: Callable[[str], str]) -> Stage:
    """Fresh topics in that store: readings with two partitions, alerts with two."""
    return Stage.set(store, topic_name)
