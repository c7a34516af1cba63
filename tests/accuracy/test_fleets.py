"""The study of fleets: rows called anomalous, and that machines are laid out so that all are split alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.accuracy.fleets import LEARNT, Called, called, machine, scored, volumes
from tests.accuracy.recordings import records
from tests.real.recordings import missing


def test_rows_are_counted_by_what_they_are_and_what_they_are_called() -> None:
    label = np.array([True, True, True, False, False, False, False, False])
    found = Called.of(np.array([True, True, False, True, False, False, False, False]), label)
    assert found == Called(hit=2, false=1, missed=1, quiet=4)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.false_alarms == pytest.approx(1 / 5)
    assert (found + found).false_alarms == found.false_alarms
    assert Called.of(np.ones(8, np.bool_), label).false_alarms == 1


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_an_artifact_of_two_valves_scores_both_and_one_that_it_never_saw() -> None:
    first, second, third = (machine(one) for one in records(["skab"])[:3])
    assert {one.prefix.index[-1] + pd.Timedelta(seconds=1) for one in (first, second, third)} == {LEARNT}
    scores, seconds = scored([first, second, third], [first, second], "pca")
    assert seconds > 0
    assert len(scores) == sum(one.record.n_rows for one in (first, second, third))
    assert volumes([third], scores)["score"] > 0.6  # all rows called anomalous would have .56
    rows = called([first], scores, "settled")
    assert rows.hit + rows.false + rows.missed + rows.quiet == first.record.n_rows - first.record.train_rows
