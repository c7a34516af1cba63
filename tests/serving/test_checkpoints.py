"""What is committed and what is restored from it, where a model or a restore comes in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from streamae.errors import TopicsError
from streamae.topics.topics import Source, TopicSpec
from tests.graphs import tiny_artifact
from tests.serving.failing import hooked
from tests.serving.stand import CALM, HOT, Stand, wait_for
from tests.serving.test_stories import overheats


def test_a_partition_that_is_still_replayed_is_not_committed(stand: Stand) -> None:
    """It would be committed with half of its windows, and without its episodes."""
    replayed = Event()
    stand.champion()
    log = overheats()
    stand.publish(log[:28], 0)
    stand.serve_all()
    stand.open = hooked([lambda source: setattr(source, "position", not_there(source.position, replayed))])
    with stand.running() as service:
        stand.publish([("right", tick, CALM) for tick in range(20)], 1)
        wait_for(lambda: service().committed.get(1) == 20)
        assert 0 not in service().committed
        replayed.set()
        stand.publish(log[28:], 0)
        wait_for(lambda: service().committed.get(0) == 60)
    assert [alert.reason for alert in stand.alerts()] == [None, "recovered"]


def not_there(position: Callable[[int], int], until: Event) -> Callable[[int], int]:
    """A fake of a source's `position`: that of partition 0 cannot be told until something has happened."""

    def told(partition: int) -> int:
        if partition == 0 and not until.is_set():
            raise TopicsError("not with this member any more: poll first")
        return position(partition)

    return told


def test_a_restored_partition_first_serves_the_version_of_its_checkpoint(stand: Stand) -> None:
    """Its windows and episodes are that version's: another one withdraws, and begins anew."""
    stand.champion()
    log = overheats()
    stand.publish(log[:28])
    stand.serve_all()
    stand.champion(tiny_artifact(length=6, stride=3))
    with stand.running() as service:
        wait_for(lambda: len(stand.alerts()) == 2, 20)
        stand.publish(log[28:])
        wait_for(lambda: sum(service().committed.values()) == 60)
    assert [(alert.version, alert.reason) for alert in stand.alerts()] == [("v0001", None), ("v0001", "withdrawn")]


def test_a_new_champion_takes_over_after_what_the_old_one_has_scored_is_committed(stand: Stand) -> None:
    """Scores are named after the version that serves when they are published."""
    stand.champion()
    stand.changes["serving"] = {"commit_interval_ms": 3_000, "refresh_s": 0.001}
    hooks: list[Callable[[Source], None]] = []
    stand.open = hooked(hooks)

    def promote(source: Source) -> None:
        stand.publish([("pump-7", tick, HOT) for tick in range(20)], 0)
        stand.champion(tiny_artifact(threshold=25.0))

    with stand.running() as service:
        wait_for(lambda: len(service().committed) == 2)
        hooks.append(promote)
        wait_for(lambda: service().models.champion_version == "v0002")
        stand.publish([("pump-7", tick, HOT) for tick in range(20, 40)], 0)
        wait_for(lambda: service().committed.get(0) == 40)
    scores = {(score, version) for _, _, _, score, version in stand.scores()}
    assert scores == {(6.25, "v0001"), (1.0, "v0002")}


@pytest.mark.parametrize("url", ["embedded"], indirect=True)
def test_a_champion_that_does_not_reproduce_its_golden_windows_does_not_serve(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.champion()
    stand.publish(overheats()[:28])
    sound = tiny_artifact(threshold=5.0)
    other = replace(sound.golden, error=sound.golden.error * np.float32(1.001))
    with stand.running() as service:
        wait_for(lambda: sum(service().committed.values()) >= 28)
        stand.champion(replace(sound, golden=other))
        wait_for(lambda: "v0001 goes on serving" in caplog.text and "error differs" in caplog.text)
        stand.publish(overheats()[28:])
        wait_for(lambda: sum(service().committed.values()) >= 60)
    assert {version for *_, version in stand.scores()} == {"v0001"}


def test_a_state_topic_that_forgets_is_refused_until_it_is_compacted(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.champion()
    stand.store.create([TopicSpec(f"{stand.name}.state", 2, {"cleanup.policy": "delete"})])
    with stand.running() as service:
        wait_for(lambda: f"the topic {stand.name}.state must be compacted" in caplog.text)
        assert not service().health()["partitions"]["running"]
