"""A seeded sample of `make faults`: whatever goes wrong on three brokers, what is published is what an undisturbed run
publishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.__main__ import A_RUN, order
from tests.faults.faults import FAULTS
from tests.faults.run import Run
from tests.kafka.cluster import Cluster

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


def test_every_fault_comes_as_often_as_any_other() -> None:
    counts = Counter(name for _, names in order(range(len(FAULTS))) for name in names)
    assert counts == dict.fromkeys(FAULTS, A_RUN)
