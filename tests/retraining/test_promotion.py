"""Who is promoted: not worse on the same span, whatever the way of being worse."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamae.config import Config
from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Span
from streamae.retraining.injection import COPIES, KINDS, MOST, SLOT, plan, spoil
from streamae.retraining.promotion import FEWEST, Evidence, Showing, decide, incomparable
from streamae.retraining.trial import compare
from streamae.training import files
from streamae.training.history import Gathered
from streamae.training.series import LeftOut
from tests.graphs import tiny_artifact
from tests.retraining import quick
from tests.retraining.quick import CHANNELS, THRESHOLD, Plant


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Plant(tmp_path).config


@pytest.fixture(scope="module")
def gathered() -> Gathered:
    return Gathered(files.table(quick.frame(), list(CHANNELS)))


def version(gathered: Gathered, name: str, artifact: Artifact | None = None, times: float = 1.0) -> Artifact:
    """An artifact judged on the readings, with other thresholds."""
    made = quick.judged(artifact or tiny_artifact(threshold=THRESHOLD), gathered)
    threshold = made.manifest.threshold
    threshold = msgspec.structs.replace(threshold, error=threshold.error * times, settled=threshold.settled * times)
    return replace(made, manifest=msgspec.structs.replace(made.manifest, version=name, threshold=threshold))


def test_the_same_model_is_promoted(config: Config, gathered: Gathered) -> None:
    evidence = compare(config, gathered, version(gathered, "v1"), version(gathered, "v2"))
    assert decide(evidence).promote, decide(evidence).why
    assert (evidence.lost, evidence.gained) == (0, 0)
    assert msgspec.structs.replace(evidence.champion, version="v2") == evidence.challenger
    assert sum(evidence.injected.values()) >= 40
    assert 0.2 < sum(evidence.champion.found.values()) / sum(evidence.injected.values()) < 0.8


@pytest.mark.parametrize(("times", "why"), [(100, "misses .* injected anomalies"), (0.01, "more false alerts")])
def test_a_model_with_foolish_thresholds_is_refused(config: Config, gathered: Gathered, times: float, why: str) -> None:
    champion, challenger = version(gathered, "v1"), version(gathered, "v2", times=times)
    verdict = decide(compare(config, gathered, champion, challenger))
    assert not verdict.promote
    assert re.search(why, verdict.why), verdict.why
    assert decide(compare(config, gathered, challenger, champion)).promote  # and the other way round, it is relieved


def test_a_model_that_never_stops_alerting_finds_nothing(config: Config, gathered: Gathered) -> None:
    evidence = compare(config, gathered, version(gathered, "v1"), version(gathered, "v2", times=1e-6))
    assert evidence.challenger.alerts == 2  # one of each series, from beginning to end
    assert evidence.challenger.false > 20
    assert sum(evidence.challenger.found.values()) == 0


def test_each_is_judged_on_its_own_grid_and_origins(config: Config, gathered: Gathered) -> None:
    champion = version(gathered, "v1", tiny_artifact(length=8, stride=4, origins=[100.0, -3.0], threshold=THRESHOLD))
    shifted = replace(gathered, table=replace(gathered.table, values=gathered.table.values + np.array([100.0, -3.0])))
    evidence = compare(
        config, shifted, champion, version(shifted, "v2", tiny_artifact(origins=[100.0, -3.0], threshold=THRESHOLD))
    )
    assert evidence.champion.false <= 1
    assert sum(evidence.champion.found.values()) > 0
    assert sum(evidence.challenger.found.values()) > 0


def test_channels_are_taken_by_name(config: Config, gathered: Gathered) -> None:
    """A champion that holds the channels in another order sees its own."""
    plain = tiny_artifact(origins=[100.0, -3.0], threshold=THRESHOLD)
    turned = msgspec.structs.replace(plain.manifest, channels=plain.manifest.channels[::-1])
    shifted = replace(gathered, table=replace(gathered.table, values=gathered.table.values + np.array([100.0, -3.0])))
    evidence = compare(
        config, shifted, version(shifted, "v1", replace(plain, manifest=turned)), version(shifted, "v2", plain)
    )
    assert decide(evidence).promote
    assert evidence.champion.false == evidence.challenger.false


def test_a_mode_that_is_new_is_nothing_to_stop_at(config: Config, gathered: Gathered) -> None:
    """What is derived differs with what was seen; both versions make their own of the same readings."""
    champion = version(gathered, "v1", tiny_artifact(threshold=THRESHOLD, derived=["@day.sin", "@channel-1=0"]))
    modes = ["@day.sin", "@channel-1=0", "@channel-1=1"]
    challenger = version(gathered, "v2", tiny_artifact(threshold=THRESHOLD, derived=modes))
    assert incomparable(champion.manifest, challenger.manifest) is None
    evidence = compare(config, gathered, champion, challenger)
    assert decide(evidence).promote
    assert (evidence.lost, evidence.gained) == (0, 0)


def test_earlier_alerts_count_neither_as_false_nor_as_missed_where_they_are_found(
    config: Config, gathered: Gathered
) -> None:
    judge = version(gathered, "v1").manifest.spans["judge"]
    start = judge.start + 100_000
    table = gathered.table
    rows = (table.series == 0) & (table.time >= start) & (table.time < start + 30_000)
    hot = replace(table, values=np.where(rows[:, None], 5.0, table.values))
    known = replace(gathered, table=hot, left_out=(LeftOut("m1", start, start + 30_000),))
    unknown = replace(gathered, table=hot)
    pair = version(gathered, "v1"), version(gathered, "v2")
    seen, unseen = compare(config, known, *pair), compare(config, unknown, *pair)
    assert (seen.earlier, seen.challenger.again) == (1, 1)
    assert unseen.challenger.false - seen.challenger.false in (2, 3)  # 30 s and what is smeared, by 16 s each


def test_what_cannot_be_compared_is_said(gathered: Gathered) -> None:
    champion, challenger = version(gathered, "v1").manifest, version(gathered, "v2").manifest
    assert incomparable(champion, challenger) is None
    assert "no judge span" in (incomparable(champion, msgspec.structs.replace(challenger, spans={})) or "")
    other = version(gathered, "v1", tiny_artifact(channels=3)).manifest
    assert "v1 has other channels (not in both: channel-2)" in (incomparable(other, challenger) or "")


def showing(**figures: int) -> Showing:
    found = {"shift": figures.pop("found", 50)}
    plain = {"alerts": 0, "false": 0, "again": 0} | figures
    return Showing(version="v1", false_per_week=0.0, found=found, **plain)


def evidence(
    champion: Showing, challenger: Showing, *, lost: int = 0, injected: int = 96, earlier: int = 0
) -> Evidence:
    return Evidence(
        span=Span(start=0, end=1),
        series=12,
        weeks=0.6,
        budget=7.2,
        earlier=earlier,
        injected={"shift": injected},
        champion=champion,
        challenger=challenger,
        lost=lost,
        gained=0,
    )


def test_false_alerts_within_the_budget_are_no_fault_even_where_the_champion_has_none() -> None:
    assert decide(evidence(showing(), showing(false=12))).promote
    refused = decide(evidence(showing(), showing(false=13)))
    assert not refused.promote
    assert refused.why == "more false alerts: 13, v1 has 0, and 12.6 would pass"
    assert decide(evidence(showing(false=40), showing(false=50))).promote
    assert not decide(evidence(showing(false=40), showing(false=52))).promote


def test_losing_more_injected_anomalies_than_chance_explains_is_a_fault() -> None:
    assert decide(evidence(showing(), showing(), lost=2)).promote
    assert not decide(evidence(showing(), showing(), lost=3)).promote


def test_losing_more_earlier_alerts_than_may_have_been_false_is_a_fault() -> None:
    assert decide(evidence(showing(again=30), showing(again=18), earlier=30)).promote
    assert not decide(evidence(showing(again=30), showing(again=17), earlier=30)).promote


def test_too_few_injected_anomalies_decide_nothing() -> None:
    verdict = decide(evidence(showing(), showing(), injected=FEWEST - 1))
    assert not verdict.promote
    assert "too few to compare by" in verdict.why


SHOWINGS = st.builds(
    showing, false=st.integers(0, 60), again=st.integers(0, 30), found=st.integers(0, 96), alerts=st.integers(0, 60)
)


@given(SHOWINGS, SHOWINGS, st.integers(0, 40))
def test_whoever_does_better_still_is_promoted_too(champion: Showing, challenger: Showing, lost: int) -> None:
    if decide(evidence(champion, challenger, lost=lost)).promote:
        better = msgspec.structs.replace(challenger, false=challenger.false // 2, again=challenger.again + 1)
        assert decide(evidence(champion, better, lost=lost // 2)).promote
    assert decide(evidence(challenger, challenger)).promote


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(0, 10_000), st.integers(1, 60))
def test_anomalies_are_apart_within_the_span_and_the_same_every_time(start_s: int, skip_s: int, window_s: int) -> None:
    table = files.table(quick.frame(), list(CHANNELS))
    first = int(table.time.min())
    span = Span(start=first + start_s * 1000, end=first + 1_200_000)
    left_out = [LeftOut("m1", first + skip_s * 100, first + skip_s * 100 + 50_000)]
    copies = plan(table, span, window_s * 1000, [0, 1], left_out)
    assert copies == plan(table, span, window_s * 1000, [0, 1], left_out)
    assert len(copies) <= COPIES
    assert sum(map(len, copies)) <= MOST
    for copy in copies:
        for one in copy:
            assert one.event.start >= span.start
            assert one.event.end <= span.end
            assert not any(
                one.event.series == out.series and one.event.start < out.end and out.start < one.event.end
                for out in left_out
            )
        for before, after in pairwise(copy):
            if before.event.series == after.event.series:
                assert after.event.start - before.event.end >= (SLOT - 2) * window_s * 1000


def test_anomalies_change_nothing_else_and_all_kinds_and_sizes_occur(gathered: Gathered) -> None:
    table = gathered.table
    span = Span(start=quick.BASE_MS + 400_000, end=quick.BASE_MS + 1_200_000)
    copies = plan(table, span, 4000, [0, 1])
    assert {one.kind for copy in copies for one in copy} == set(KINDS)
    assert len({(one.kind, one.size, one.channel) for copy in copies for one in copy}) == len(KINDS) * 3 * 2
    for copy in copies:
        spoilt = spoil(table, copy, span.start)
        changed = spoilt.values != table.values
        for one in copy:
            rows = (table.series == table.names.index(one.event.series)) & (table.time >= one.event.start)
            rows &= table.time < one.event.end
            assert changed[rows, one.channel].any(), one
            reach = abs(spoilt.values - table.values)[rows, one.channel].max()
            assert reach <= one.size * 0.55 * (1 if one.kind != "noise" else 4)
            changed[rows, one.channel] = False
        assert not changed.any()


def test_a_channel_that_stands_still_or_is_silent_gets_none(gathered: Gathered) -> None:
    values = gathered.table.values.copy()
    values[:, 0] = 7.0
    values[gathered.table.series == 1, 1] = np.nan
    span = Span(start=quick.BASE_MS + 400_000, end=quick.BASE_MS + 1_200_000)
    copies = plan(replace(gathered.table, values=values), span, 4000, [0, 1])
    assert {(one.event.series, one.channel) for copy in copies for one in copy} == {("m1", 1)}
