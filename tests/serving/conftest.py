"""Stands on each store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.stand import Stand


@pytest.fixture(params=["embedded", "kafka"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where topics are: embedded, or on a real broker. Every story that does not say otherwise is told on both."""
    if request.param == "kafka":
        return f"kafka://{request.getfixturevalue('kafka_address')}"
    return f"embedded://{tmp_path / 'topics.db'}"


@pytest.fixture
def stand(url: str, tmp_path: Path, topic_name: Callable[[str], str]) -> Iterator[Stand]:
    """A stand with two partitions."""
    yield from _stand(url, tmp_path, topic_name, 2)


@pytest.fixture
def large(url: str, tmp_path: Path, topic_name: Callable[[str], str]) -> Iterator[Stand]:
    """A stand with four partitions."""
    yield from _stand(url, tmp_path, topic_name, 4)


@pytest.fixture
def kafka_stand(kafka_address: str, tmp_path: Path, topic_name: Callable[[str], str]) -> Iterator[Stand]:
    """A stand on a real broker, for what only Kafka can bring."""
    yield from _stand(f"kafka://{kafka_address}", tmp_path, topic_name, 2)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Stand]:
    """A stand whose topics are embedded: for what has nothing to do with brokers."""
    yield from _stand(f"embedded://{tmp_path / 'topics.db'}", tmp_path, str, 1)


def _stand(url: str, folder: Path, topic_name: Callable[[str], str], partitions: int) -> Iterator[Stand]:
    made = Stand(url, topic_name("plant"), folder, partitions)
    yield made
    made.close()
