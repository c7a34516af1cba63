"""The story of a month, told in a minute: retrained again and again beside a service that goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.retraining.beside import Beside, caught_up
from tests.serving.stand import Stand, wait_for


def versions_of(beside: Beside) -> set[str]:
    """The versions that have alerted."""
    return {alert.version for alert in beside.stand.alerts()}


def test_retrained_again_and_again_the_service_swaps_and_loses_nothing(
    kafka_address: str, tmp_path: Path, topic_name: Callable[[str], str]
) -> None:
    changes = {"retraining": {"every_s": 3.0}}
    beside = Beside(Stand(f"kafka://{kafka_address}", topic_name("plant"), tmp_path, changes=changes))
    try:
        assert beside.retrain("first", "--once").ended() == 0
        beside.serving()
        replica = beside.retrain()
        with beside.publishing(every_s=2.0):
            wait_for(lambda: bool(beside.swapped_to() & versions_of(beside)), 240)
        assert replica.stop() == 0
        beside.round()
        caught_up(beside)
        assert beside.serve.stop() == 0
        swaps = beside.swaps()
        alerts = beside.stand.alerts()
    finally:
        beside.close()
    assert all(len(versions) == 1 for versions in beside.scheduled().values()), replica.said()
    assert "v0001" in {alert.version for alert in alerts}
    assert (swaps.lost, swaps.doubled, swaps.alerts_doubled, swaps.faults_unseen) == (0, 0, 0, 0), swaps
    judged = [run.evidence for run in beside.record.runs if run.evidence]
    assert any(evidence.earlier for evidence in judged)  # alerts of the service were told to the judge
