"""The rules of episodes, drawn. A character is a window, one a second:

0 calm    ! anomalous    ^ highly so    s in its settled score only    ? too little to count    . no window
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from streamae.detection.alerts import Alert, ChannelShare
from streamae.detection.episodes import EpisodePolicy, EpisodeTracker, Place
from streamae.detection.scoring import Scores
from streamae.detection.windows import Windows
from streamae.errors import DataError

PLACE = Place("pumps", "readings", 0)
SHARE = (ChannelShare("temperature", 1.0, 20.0, 80.0),)
SCORE = {"0": 0.5, "!": 2.0, "?": 9.0, "s": 0.5, "^": 7.0}


def tracker(fire_after: int = 1, resolve_after: int = 1, smoothing: int = 1, expire_after: int = 100) -> EpisodeTracker:
    policy = EpisodePolicy(
        fire_after=fire_after, resolve_after=resolve_after, min_observed=0.5, expire_after_ms=1000 * expire_after
    )
    return EpisodeTracker(policy, PLACE, smoothing)


def update(machine: EpisodeTracker, drawn: str, series: str = "pump", first: int = 0) -> list[Alert]:
    """Windows of 2 s, one a second; offset and end of a window in seconds are the same number, as is its close."""
    at = np.array([at for at, window in enumerate(drawn, start=first) if window != "."], np.int64)
    kinds = [window for window in drawn if window != "."]
    score = np.array([SCORE[kind] for kind in kinds], np.float64)
    settled = np.where([kind == "s" for kind in kinds], 2.0, score)
    observed = np.array([0.25 if kind == "?" else 1.0 for kind in kinds])
    values = np.zeros((len(at), 2, 1), np.float32)
    start, end = 1000 * (at - 2), 1000 * at
    windows = Windows([series] * len(at), start, end, values, observed, at - 2, at, end)
    scores = Scores(score, settled, np.ones((len(at), 1), np.float32), np.full(len(at), 4.0))
    return machine.update(windows, scores, "v1", lambda row: SHARE)


def story(alerts: list[Alert]) -> list[str]:
    """When each alert came, and what it was: `3 firing`."""
    return [f"{alert.source.last} {alert.reason or alert.state}" for alert in alerts]


@pytest.mark.parametrize(
    ("fire_after", "windows", "fired"),
    [
        (1, "0!", ["1 firing"]),
        (2, "0!", []),
        (2, "0!!", ["2 firing"]),
        (2, "0!0!0", []),
        (2, "!?!", ["2 firing"]),  # what does not count neither fires nor calms
        (3, "!!0!!!!", ["5 firing"]),
        (2, "!s!!", ["3 firing"]),  # the settled score alone does not fire
        (1, "sss", []),
        (1, "???", []),
    ],
)
def test_windows_in_a_row_fire(fire_after: int, windows: str, fired: list[str]) -> None:
    assert story(update(tracker(fire_after, resolve_after=9), windows)) == fired


@pytest.mark.parametrize(
    ("resolve_after", "windows", "alerts"),
    [
        (1, "!0", ["0 firing", "1 recovered"]),
        (2, "!0", ["0 firing"]),
        (2, "!00", ["0 firing", "2 recovered"]),
        (2, "!0!0!00", ["0 firing", "6 recovered"]),
        (2, "!0?0", ["0 firing", "3 recovered"]),
        (2, "!0s00", ["0 firing", "4 recovered"]),  # a settled score keeps an episode open
        (1, "!0!0", ["0 firing", "1 recovered", "2 firing", "3 recovered"]),
    ],
)
def test_calm_windows_in_a_row_resolve(resolve_after: int, windows: str, alerts: list[str]) -> None:
    assert story(update(tracker(resolve_after=resolve_after), windows)) == alerts


def test_the_settled_score_is_smoothed_over_windows() -> None:
    assert story(update(tracker(smoothing=1), "!0")) == ["0 firing", "1 recovered"]
    assert story(update(tracker(smoothing=3), "!000")) == ["0 firing", "2 recovered"]  # (2 + .5 + .5) / 3 is 1


@pytest.mark.parametrize("cut", range(8))
def test_a_poll_may_end_anywhere(cut: int) -> None:
    drawn, whole, halves = "0!!0!000", tracker(2, 2, 3), tracker(2, 2, 3)
    want = update(whole, drawn)
    found = update(halves, drawn[:cut])
    loaded = tracker(2, 2, 3)
    loaded.load(halves.dump())
    assert found + update(loaded, drawn[cut:], first=cut) == want
    assert loaded.dump() == whole.dump()


def test_an_alert_tells_what_was_found() -> None:
    firing, resolved = update(tracker(fire_after=2, resolve_after=2), "0!!s00", first=10)
    assert (firing.state, firing.model, firing.version, firing.series) == ("firing", "pumps", "v1", "pump")
    assert (firing.start, firing.end) == (10_000, None)  # the middle of the first anomalous window, [9 s, 11 s)
    assert (firing.confirmed, firing.threshold, firing.observed, firing.channels) == (True, 4.0, 1.0, SHARE)
    assert (firing.peak.time, firing.peak.score) == (11_000, 2.0)
    assert (firing.source.first, firing.source.last) == (9, 12)
    assert (resolved.end, resolved.source.last) == (12_000, 15)  # confirmed up to the middle of [11 s, 13 s)


def test_an_alerts_id_is_of_model_series_and_first_window() -> None:
    (one,), (again,) = update(tracker(), "!"), update(tracker(), "!")
    (other_time,), (other_series,) = update(tracker(), "!", first=1), update(tracker(), "!", series="valve")
    assert one.id == again.id
    assert len({one.id, other_time.id, other_series.id}) == 3


def test_the_peak_is_the_highest_window() -> None:
    machine = tracker(resolve_after=9)
    update(machine, "!")
    update(machine, "^!", first=1)
    (withdrawn,) = machine.withdraw()
    assert (withdrawn.peak.time, withdrawn.peak.score) == (1000, 7.0)


def test_silence_ends_an_episode_before_any_later_window_counts() -> None:
    machine = tracker(expire_after=5)
    assert story(update(machine, "!....!")) == ["0 firing", "0 silent", "5 firing"]
    assert story(update(tracker(expire_after=6), "!....!0")) == ["0 firing", "6 recovered"]


def test_silence_is_told_by_the_partitions_event_time() -> None:
    machine = tracker(fire_after=1, expire_after=5)
    update(machine, "!", series="b")
    update(machine, "!", series="a")
    assert machine.expire(4_999) == []
    assert [alert.series for alert in machine.expire(5_000)] == ["a", "b"]
    assert machine.expire(9_999) == []


def test_what_is_pending_is_dropped_without_a_word() -> None:
    expired, withdrawn = tracker(fire_after=2), tracker(fire_after=2)
    update(expired, "!")
    update(withdrawn, "!")
    assert expired.expire(10**6) == withdrawn.withdraw() == []
    assert expired.dump() == withdrawn.dump() == b"[]"


def test_equal_episodes_give_equal_bytes() -> None:
    one, other = tracker(), tracker()
    for machine, order in ((one, "ab"), (other, "ba")):
        for series in order:
            update(machine, "!", series)
    assert one.dump() == other.dump()
    assert msgspec.json.decode(one.dump())


STATE = (
    '[{"series":"p","first":0,"onset":2,"end":4,"seen":4,"peak":{"time":4,"score":2.0},"windows":1,"threshold":1.0,'
    '"factor":1.0,"version":"1","first_offset":0,"last_offset":3}]'
)


@pytest.mark.parametrize(
    "state",
    [
        "",
        "null",
        '{"theirs": 1}',
        "[" * 100_000,
        STATE.replace('"windows":1,', ""),
        STATE.replace('"windows":1,', '"windows":0,'),
        STATE.replace('"factor":1.0', '"factor":0'),
        f'{{"episodes":{STATE},"raised":[{{"series":"p","log":1e308,"at":4}}]}}',
    ],
)
def test_what_is_no_state_is_refused(state: str) -> None:
    tracker().load(STATE.encode())
    with pytest.raises(DataError, match="these are no episodes"):
        tracker().load(state.encode())
