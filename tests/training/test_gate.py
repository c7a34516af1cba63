"""The gate: what an autoencoder has to do to be worth it."""

from __future__ import annotations

import numpy as np
import pytest

from streamae.config import Training
from streamae.detection.artifact import Profiles
from streamae.detection.manifest import WindowSpec
from streamae.errors import ConfigError
from streamae.training import gate, job, report
from streamae.training.gate import KINDS, Anomalies, Duel, anomalies, duel, found
from streamae.training.rivals import Rival
from streamae.training.series import Floats, Ints, Pool, Stretch
from tests.training.conftest import configured, fleet_frame

EVERY = WindowSpec(length=16, stride=1, cadence_ms=1000)
BOTH = np.array([True, True])


def pool(ticks: int = 400, channels: int = 2) -> Pool:
    grid = np.random.default_rng(0).normal(size=(ticks, channels)).astype(np.float32)
    return Pool([Stretch("m", 0, grid)], ["m"], EVERY, 0.5)


def profiles(scale: float = 1.0) -> Profiles:
    return Profiles(("m",), np.tile(np.array([0, scale, 1], np.float32)[None, :, None], (2, 1, 2)))


def given_anomalies(scale: float = 1.0, scored: np.ndarray[tuple[int], np.dtype[np.bool_]] = BOTH) -> Anomalies:
    given = anomalies(pool(), profiles(scale), scored)
    assert given is not None
    return given


def far(windows: Floats, rows: Ints) -> Floats:
    """A model that sees how far a window is from 0."""
    return np.asarray(np.abs(windows).max(axis=(1, 2)))


def blind(windows: Floats, rows: Ints) -> Floats:
    """A model that looks at what no anomaly changes."""
    return np.asarray(windows[:, 0, 0])


def test_every_kind_of_anomaly_is_injected_into_the_newest_half() -> None:
    given = given_anomalies()
    assert set(given.kinds) == set(KINDS)
    assert len(given.spoilt) == len(given.spoilt_rows) == len(given.kinds)
    normal = {window[:8].tobytes() for window in given.normal}
    assert all(window[:8].tobytes() in normal for window in given.spoilt)
    assert not any(window.tobytes() in {one.tobytes() for one in given.normal} for window in given.spoilt)


def test_the_same_windows_get_the_same_anomalies() -> None:
    one, same = given_anomalies(), given_anomalies()
    np.testing.assert_array_equal(one.spoilt, same.spoilt)


def test_sizes_are_in_the_scales_of_the_channel() -> None:
    small, large = (far(one.spoilt, one.spoilt_rows).max() for one in (given_anomalies(0.01), given_anomalies(100.0)))
    assert small < 10 < 100 < large


def test_context_channels_stay_as_they_are() -> None:
    given = given_anomalies(scored=np.array([False, True]))
    context = {window[:, 0].tobytes() for window in given.normal}
    assert all(window[:, 0].tobytes() in context for window in given.spoilt)


def test_silence_stays_silent() -> None:
    grid = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    grid[::3, 0] = np.nan
    given = anomalies(Pool([Stretch("m", 0, grid)], ["m"], EVERY, 0.5), profiles(), BOTH)
    assert given is not None
    patterns = {np.isnan(window).tobytes() for window in given.normal}
    assert all(np.isnan(window).tobytes() in patterns for window in given.spoilt)


def test_too_few_windows_tell_nothing() -> None:
    assert anomalies(pool(ticks=30), profiles(), BOTH) is None


def test_a_model_that_sees_is_clearly_better_than_one_that_does_not() -> None:
    given = given_anomalies()
    sees, sees_not = found(far, given), found(blind, given)
    assert duel(sees, sees_not, given.kinds).better
    assert duel(sees_not, sees, given.kinds).worse
    assert not duel(sees, sees, given.kinds).better
    assert not duel(sees, sees, given.kinds).worse


def test_what_was_found_is_told_by_kind() -> None:
    """A stuck channel is never further off than it was."""
    given = given_anomalies()
    told = duel(found(far, given), found(blind, given), given.kinds)
    assert tuple(told.by_kind) == KINDS
    assert [sum(column) for column in zip(*told.by_kind.values(), strict=True)] == [
        told.injected, told.found, told.baseline_found
    ]  # fmt: skip
    assert told.by_kind["stuck"][1] < told.by_kind["shift"][1]


def test_all_models_have_the_same_false_alarms() -> None:
    """So that one does not win by being loud."""
    given = given_anomalies()
    louder = found(lambda windows, rows: 1000 * far(windows, rows), given)
    np.testing.assert_array_equal(louder, found(far, given))
    as_before = Anomalies(given.normal, given.rows, given.normal, given.rows, ())
    assert found(far, as_before).mean() <= gate.FALSE + 1 / len(given.normal)


@pytest.mark.parametrize(("alone", "other", "better"), [(3, 0, True), (2, 0, False), (30, 20, False), (40, 20, True)])
def test_a_few_more_could_be_chance(alone: int, other: int, better: bool) -> None:
    assert Duel(100, 50, 50, alone, other, {}).better is better
    assert Duel(100, 50, 50, other, alone, {}).worse is better


def rival(name: str, duel: Duel | None) -> Rival:
    return Rival(name, None, None, {}, duel)  # type: ignore[arg-type]


def test_what_serves_is_worth_it_or_linear() -> None:
    clearly, hardly = Duel(100, 60, 20, 50, 10, {}), Duel(100, 60, 60, 10, 10, {})
    assert job.worth("lstm", [rival("kmeans", hardly), rival("pca", clearly)])
    assert not job.worth("lstm", [rival("kmeans", clearly), rival("pca", hardly)])
    assert not job.worth("lstm", [rival("pca", None)])
    assert job.worth("pca", [rival("kmeans", hardly)])


def test_the_gate_serves_the_baseline_where_the_network_is_not_worth_it() -> None:
    policy = 'baselines = ["pca", "deviation"]\ngate = "serve_baseline"\n'
    artifact = job.train(configured("lstm", policy), fleet_frame(ticks=1500))
    facts = artifact.manifest.report
    assert set(facts["baselines"]) == {"pca", "deviation"}
    assert list(report.render(facts).columns[0].cells).count("injected") == 1
    serves_pca = artifact.manifest.autoencoder == "pca"
    assert serves_pca == (facts.get("served") == "pca") == ("not worth it" in facts["verdict"])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            'baselines = ["pcb"]',
            "no baseline `pcb`; known: conv, dense, kmeans, lstm, memory, neighbours, pca, transformer, dev",
        ),
        ('baselines = ["kmeans"]\ngate = "serve_baseline"', "needs `pca` among the baselines"),
        ('gate = "perhaps"', "Invalid enum value 'perhaps'"),
    ],
)
def test_what_the_gate_cannot_do_is_refused(more: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        configured("lstm", more)


def test_baselines_may_be_left_out() -> None:
    assert Training(baselines=()).baselines == ()
