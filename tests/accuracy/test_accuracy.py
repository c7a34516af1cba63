"""What `make accuracy` computes, on figures made by hand; and a small sample of it on real series."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.accuracy.judging import Candidate, Row, earlier, judge
from tests.accuracy.recordings import DEVELOPMENT, FAMILIES, development, records
from tests.accuracy.tables import MACRO, by_family, left_out_choice, served, spread
from tests.real.recordings import missing

needs_data = pytest.mark.skipif(bool(missing()), reason=missing())


def row(family: str, series: str, candidate: str, causal: float, seed: int = 0, worth: bool = False) -> Row:
    facts = {"family": family, "series": series, "candidate": candidate, "seed": seed, "error": ""}
    return (
        facts
        | {"causal": causal, "settled": causal / 2, "fit_cpu_s": 1.0, "us_per_row": 1.0, "worth": worth}
        | {"duels": {"pca": {}} if candidate != "pca" else {}}
    )


ROWS = [
    row("a", "a1", "lstm", 0.2), row("a", "a2", "lstm", 0.4), row("b", "b1", "lstm", 0.9), row("c", "c1", "lstm", 0.5),
    row("a", "a1", "pca", 0.8), row("a", "a2", "pca", 0.8), row("b", "b1", "pca", 0.1), row("c", "c1", "pca", 0.5),
]  # fmt: skip


def test_families_count_alike_however_many_series_they_have() -> None:
    table = by_family(ROWS)
    assert table.loc["a", ("lstm", "causal")] == pytest.approx(0.3)
    assert table.loc[MACRO, ("lstm", "causal")] == pytest.approx((0.3 + 0.9 + 0.5) / 3)
    assert table.loc[MACRO, ("pca", "settled")] == pytest.approx((0.8 + 0.1 + 0.5) / 6)


def test_a_family_has_no_say_in_its_own_choice() -> None:
    chosen = left_out_choice(ROWS)
    assert chosen.loc["a", "chosen"] == "lstm"  # on b and c; on a itself pca would be better
    assert chosen.loc["b", "chosen"] == "pca"
    assert chosen.loc["a", "causal"] == pytest.approx(0.3)
    assert chosen.loc["c", "chosen"] == "lstm"
    assert chosen.loc[MACRO, "causal"] == pytest.approx((0.3 + 0.1 + 0.5) / 3)


def test_what_failed_is_left_out_of_means() -> None:
    failed = {"family": "a", "series": "a3", "candidate": "lstm", "seed": 0, "error": "DataError: too short"}
    assert by_family([*ROWS, failed]).equals(by_family(ROWS))


def test_what_did_not_fail_in_an_earlier_run_is_not_run_again(tmp_path: Path) -> None:
    rows = [{"series": "pump", "error": ""}, {"series": "valve", "error": "DataError: too short"}]
    (tmp_path / "out.json").write_text(json.dumps(rows))
    assert earlier(tmp_path / "out.json") == rows[:1]
    assert earlier(tmp_path / "none.json") == earlier(None) == []


def test_the_gate_serves_the_baseline_where_it_is_not_worth_it() -> None:
    gated = served([row("a", "a1", "lstm", 0.2), row("a", "a2", "lstm", 0.4, worth=True), *ROWS[4:6]])
    assert [(one["candidate"], one["causal"]) for one in gated] == [("lstm by gate", 0.8), ("lstm by gate", 0.4)]


def test_seeds_are_averaged_and_their_spread_shown() -> None:
    both = [row("a", "a1", "lstm", 0.2), row("a", "a1", "lstm", 0.4, seed=1)]
    assert by_family(both).loc[MACRO, ("lstm", "causal")] == pytest.approx(0.3)
    assert spread(both).loc["lstm", "causal"] == pytest.approx(0.1 * 2**0.5)
    assert spread(both[:1]).empty


@needs_data
def test_the_development_set_is_the_same_every_time_and_has_every_family() -> None:
    chosen = development()
    assert chosen == development()
    assert {one.dataset for one in chosen} == set(FAMILIES)
    assert all(sum(one.dataset == family for one in chosen) <= DEVELOPMENT for family in FAMILIES)


@needs_data
def test_a_sample_is_judged_and_its_scores_are_causal() -> None:
    (valve,) = (one for one in records(["skab"]) if one.series.endswith("valve1_5"))
    found = judge((valve, Candidate("pca", "pca"), 0, True))
    assert found["error"] == ""
    assert found["causal"] > 0.8  # all rows called anomalous would have .56
    failed = judge((valve, Candidate("pca", "pca", {"length": 4000}), 0, False))
    assert "too few to fit and calibrate on" in failed["error"]
