"""A real broker behind a proxy that does the harm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.kafka.broker import Broker
from tests.kafka.proxy import Proxy
from tests.topics.member import Stage, eventually


@pytest.fixture(scope="module")
def proxy(kafka_address: str) -> Iterator[Proxy]:
    """A broker that is reached through a proxy only, by its clients and by itself."""
    made = Proxy()
    with Broker({"advertised.listeners": f"PLAINTEXT://{made.address}"}) as broker:
        made.target = broker.address
        made.broker = broker  # type: ignore[attr-defined]
        yield made
        made.close()


@pytest.fixture
def stage(proxy: Proxy, topic_name: Callable[[str], str]) -> Iterator[Stage]:
    from streamae.topics.kafka import KafkaStore
    from tests.topics.proxied.hurried import HURRIED, clients

    before = set(threading.enumerate())
    with KafkaStore(proxy.address, timing=HURRIED) as store:
        yield Stage.set(store, topic_name)
    eventually(lambda: not {thread for thread in clients() if thread not in before}, 10)
