"""Two instances of a service on Kafka: partitions go from one to the other and back, and the outputs do not show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streamae.errors import TopicsError
from streamae.serving.service import Service
from tests.graphs import tiny_artifact
from tests.serving.failing import hooked
from tests.serving.fleet import LENGTH, SETTINGS, STRIDE, fleet_log
from tests.serving.kills import published
from tests.serving.outcome import Outcome
from tests.serving.stand import CALM, Stand, wait_for

pytest.importorskip("kafka", reason="topics on Kafka need streamae[serve]")

from streamae.topics.kafka import KafkaStore
from streamae.topics.kafka_client import Timing


def test_an_instance_that_joins_and_leaves_changes_nothing(
    kafka_address: str, tmp_path: Path, topic_name: Callable[[str], str]
) -> None:
    timing = Timing(session=2_000, heartbeat=300, transaction=2_000)  # a member that leaves is missed within 2 s
    first = Stand(
        f"kafka://{kafka_address}",
        topic_name("plant"),
        tmp_path,
        4,
        dict(SETTINGS),
        open=lambda url: KafkaStore(kafka_address, timing=timing),
    )
    second = replace(first, changes={**SETTINGS, "serving": {"instance": "second"}})
    first.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    log = fleet_log(first.config.topics.readings, seed=3, ticks=400)
    with first.running() as one:
        with published(first, log, per_second=600):
            for _ in range(2):
                wait_for(lambda: running(one()) == 4)
                with second.running() as other:
                    wait_for(lambda: running(other()) == running(one()) == 2)
                    wait_for(lambda: len(other().committed) == 2)
            wait_for(lambda: running(one()) == 4)
        wait_for(lambda: sum(one().committed.values()) >= first.published)
    alone = first.twin()
    alone.serve_all()
    assert Outcome.of(first).equals(Outcome.of(alone))
    for stand in (first, second, alone):
        stand.close()


def running(service: Service) -> int:
    """How many partitions it runs."""
    count: int = service.health()["partitions"]["running"]
    return count


def test_a_partition_that_goes_between_two_polls_does_not_end_the_service(stand: Stand) -> None:
    """Its position can then not be told, neither for its restore nor for the gauges, until the next poll reports it."""
    gone: list[int] = []
    stand.champion()
    stand.open = hooked([lambda source: setattr(source, "position", without_position(gone, source.position))])
    stand.publish([("pump-7", tick, CALM) for tick in range(20)])
    with stand.running() as service:
        wait_for(lambda: len(gone) == 9)
        wait_for(lambda: sum(service().committed.values()) == 20)


def without_position(gone: list[int], position: Callable[[int], int]) -> Callable[[int], int]:
    """A fake of a source's `position` that fails for some time; `gone` is told how often."""

    def failing(partition: int) -> int:
        if len(gone) < 9:
            gone.append(partition)
            raise TopicsError("not with this member any more: poll first")
        return position(partition)

    return failing
