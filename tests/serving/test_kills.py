"""kill -9 loses nothing, doubles nothing, changes nothing; and the comparison that says so can tell."""

from __future__ import annotations

from pathlib import Path

from tests.serving import kills
from tests.serving.process import Process
from tests.serving.stand import Stand, wait_for
from tests.serving.test_stories import overheats

FORGETFUL = """
from streamae.detection.detector import Detector
Detector.follow = lambda self, readings: None
"""


def test_whatever_is_killed_the_outputs_are_those_of_an_undisturbed_run(large: Stand) -> None:
    report = kills.run(large, kills=4, seed=11)
    assert report.equal, "\n".join(kills.table(report))
    assert report.compared["alerts"].compared >= 60
    assert report.compared["dead letters"].compared >= 60


def test_the_comparison_catches_windows_that_are_not_restored(tmp_path: Path) -> None:
    stand = Stand(f"embedded://{tmp_path / 'topics.db'}", "forgetful", tmp_path, partitions=4)
    report = kills.run(stand, kills=2, seed=2, prelude=FORGETFUL)
    stand.close()
    assert report.compared["scores"].lost or report.compared["scores"].different
    assert report.compared["alerts"].lost or report.compared["alerts"].different


def test_told_to_stop_it_commits_what_it_has_handled_and_publishes_none_of_it_again(large: Stand) -> None:
    large.champion()
    large.publish(overheats())
    process = Process(large)
    for _ in range(2):
        process.start()
        wait_for(lambda: process.state() == "running", 40)
        large.publish([("pump-7", tick, 0.0) for tick in range(large.published, large.published + 20)])
        wait_for(lambda: process.committed() >= 1)
        assert process.stop() == 0
        assert "all that was handled is committed" in process.said()
    large.publish([("pump-7", large.published, 0.0)])
    large.serve_all()
    assert len(large.alerts()) == 2
    assert len(large.scores()) == len({score[:3] for score in large.scores()}) >= 45
