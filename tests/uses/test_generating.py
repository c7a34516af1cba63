"""Series from samples of a code: as long as asked, without seams, seeded, obeying what they are given.

The decoder is made by hand: its two numbers are those of a wave with a period of 12 ticks.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.repairing import Repair
from streamae.errors import ConfigError, DataError
from streamae.uses.generating import Wish, generate, slerp
from tests.graphs import tiny_artifact, tiny_repair, waving

PERIOD, LENGTH = 12.0, 64


def waves(noise: float = 0.0, along: float = 0.0, conditional: bool = False) -> Artifact:
    """A model of waves, of which real ones are off by so much noise; with conditions, the second channel is one."""
    artifact = tiny_artifact(
        length=LENGTH, stride=4, centres={"pump-1": 3.0}, origins=[100.0, 0.0], scored=[True, not conditional]
    )
    repair = tiny_repair(2)
    rest = np.array([[noise] * 2, [along] * 2, [8] * 2], np.float32)
    return replace(waving(artifact, PERIOD, conditional), repair=replace(repair, rest=rest))


def bends(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each value of a channel is off what two before it say, were it a wave of that period."""
    turn = 2 * np.cos(2 * np.pi / PERIOD)
    return np.asarray(abs(values[2:] - turn * values[1:-1] + values[:-2]))


def test_a_series_is_as_long_as_asked_and_has_no_seams() -> None:
    """Windows are laid down every 16 ticks: there, a wave goes on as it does elsewhere."""
    values = generate(waves(), Wish(1000))[:, 1]
    assert values.shape == (1000,)
    assert np.abs(np.fft.rfft(values))[1:].argmax() + 1 == pytest.approx(1000 / PERIOD, abs=1)
    assert bends(values).max() < 0.15 * values.std()
    alone = np.concatenate([generate(waves(), Wish(64, seed=seed))[:16, 1] for seed in range(20)])
    assert bends(alone).max() > values.std()  # without a choice and a fade there are seams


def test_the_same_seed_gives_the_same_series() -> None:
    one, again, other = (generate(waves(noise=0.1), Wish(300, seed=seed)) for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert not np.allclose(one, other)


def test_a_series_has_the_level_of_whose_profile_it_has() -> None:
    fleet, pump = (generate(waves(), Wish(600, series)).mean(axis=0) for series in ("", "pump-1"))
    np.testing.assert_allclose(fleet, [100, 0], atol=0.2)
    np.testing.assert_allclose(pump, [103, 3], atol=0.2)


def test_what_a_model_leaves_over_is_added_as_noise() -> None:
    rest = generate(waves(noise=0.5, along=0.8), Wish(20_000)) - generate(waves(), Wish(20_000))
    assert rest[:, 1].std() == pytest.approx(0.5, rel=0.05)
    assert np.corrcoef(rest[1:, 1], rest[:-1, 1])[0, 1] == pytest.approx(0.8, abs=0.02)


def test_conditions_are_obeyed_and_are_what_was_given() -> None:
    given = np.repeat([[-1.0], [1.0]], 200, axis=0)
    values = generate(waves(conditional=True), Wish(400, conditions=given))
    np.testing.assert_array_equal(values[:, 1:], given)
    free = generate(waves(conditional=True), Wish(400, conditions=0 * given))
    moved = (values - free)[:, 0]
    assert moved[:150].mean() == pytest.approx(-1, abs=0.3)
    assert moved[250:].mean() == pytest.approx(1, abs=0.3)


def test_a_way_leads_from_one_code_to_the_other_on_their_sphere() -> None:
    first, last = np.array([3, 0], np.float32), np.array([0, 3], np.float32)
    way = [slerp(first, last, share) for share in (0, 0.5, 1)]
    np.testing.assert_allclose(way, [[3, 0], [4.5**0.5, 4.5**0.5], [0, 3]], atol=1e-6)
    np.testing.assert_allclose(slerp(first, first, 0.3), first)


def test_a_series_goes_from_like_one_window_to_like_another() -> None:
    """The tiny encoder's code is each channel's mean, which the waving decoder takes for the sine and the cosine."""
    loud, calm = (np.full((LENGTH, 2), level, np.float32) for level in (3.0, 0.0))
    values = generate(waves(), Wish(800, between=(loud, calm)))[:, 1]
    assert values[:150].std() > 3 * values[-150:].std()


def test_a_wish_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="63 ticks are shorter than a window of tiny@1: at least 64"):
        generate(waves(), Wish(63))
    with pytest.raises(ConfigError, match="no profile of 'pump-9'; it knows pump-1"):
        generate(waves(), Wish(64, "pump-9"))
    with pytest.raises(ConfigError, match="generates by conditions: give the context channels"):
        generate(waves(conditional=True), Wish(64))
    with pytest.raises(ConfigError, match="knows no conditions"):
        generate(waves(), Wish(64, conditions=np.zeros((64, 1))))
    with pytest.raises(ConfigError, match=r"cannot generate: .*variational, conditional or adversarial"):
        generate(tiny_artifact(), Wish(64))


def test_conditions_that_were_never_met_are_refused() -> None:
    artifact = waves(conditional=True)
    report = {"conditions": {"channel-1": [0.0, 10.0]}}
    artifact = replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, report=report))
    generate(artifact, Wish(64, conditions=np.full((64, 1), 10.9)))
    for beyond in (11.1, -1.1, np.nan):
        with pytest.raises(DataError, match=r"the condition channel-1 goes from .* was trained on 0 to 10"):
            generate(artifact, Wish(64, conditions=np.full((64, 1), beyond)))
    with pytest.raises(DataError, match=r"conditions are \(60, 1\), not 64 ticks of channel-1"):
        generate(artifact, Wish(64, conditions=np.zeros((60, 1))))


def test_a_model_without_repairs_generates_without_noise() -> None:
    assert isinstance(waves().repair, Repair)
    values = generate(replace(waves(noise=1.0), repair=None), Wish(100))
    np.testing.assert_array_equal(values, generate(waves(), Wish(100)))
