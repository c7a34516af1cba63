"""A seeded sample of `make faults`: whatever goes wrong on three brokers, what is published is what an undisturbed run
publishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamae.topics import open_store
from streamae.topics.topics import Bounds
from tests.faults.__main__ import A_RUN, order
from tests.faults.faults import FAULTS
from tests.faults.run import Run
from tests.kafka.cluster import Cluster
from tests.topics.member import Stage

SEEDS = range(3)


@pytest.fixture(scope="module")
def cluster(kafka_address: str) -> Iterator[Cluster]:
    """Three brokers; skipped where not even one can be started."""
    with Cluster() as made:
        yield made


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "names"), list(order(SEEDS)))
def test_whatever_fails_nothing_is_lost_doubled_or_different(
    cluster: Cluster, seed: int, names: list[str], tmp_path: Path
) -> None:
    with Run(cluster, seed, tmp_path) as run:
        for name in names:
            run.meet(name, FAULTS[name])
        found = run.finish()
    assert found.equal, found
    assert found.compared["alerts"].compared > 50
    assert found.compared["scores"].compared > 500
    assert found.compared["dead letters"].compared > 50


def test_offsets_are_asked_of_the_new_leader(cluster: Cluster, topic_name: Callable[[str], str]) -> None:
    """kafka-python asks the old one again and again, until the patience of whoever waits for the answer is over."""
    with open_store(f"kafka://{cluster.address}") as store:
        stage = Stage.set(store, topic_name)
        source = stage.running(3).source
        for _ in range(3):  # brokers: the leader that the source knows is not the leader after at least two of them
            cluster.move_leaders(stage.readings, 2)
            assert source.bounds(0) == Bounds(0, 3)


def test_every_fault_comes_as_often_as_any_other() -> None:
    counts = Counter(name for _, names in order(range(len(FAULTS))) for name in names)
    assert counts == dict.fromkeys(FAULTS, A_RUN)
