"""Tuning: the smallest code that still rebuilds what is normal, then the rest."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from streamae import config
from streamae.config import Training
from streamae.errors import ConfigError, DataError
from streamae.training.material import Material
from streamae.training.tuning import Question, Tried, Tuned, codes, tune
from streamae.training.tuning_report import facts, lines, plot, render, said
from tests.training.conftest import CONFIG, configured

ERRORS = {1: 0.9, 2: 0.5, 3: 0.105, 4: 0.104, 6: 0.1, 8: 0.11}  # a plateau from three numbers on


def tuned(errors: dict[int, float] = ERRORS, tolerance: float = 0.05, searched: tuple[Tried, ...] = ()) -> Tuned:
    tried = tuple(Tried({"code": code}, error, 2 * error, 100, 1.0) for code, error in errors.items())
    return Tuned(Training(), tried, tolerance, searched)


def quick(material: Material, name: str) -> Material:
    """The same to be trained in a few steps."""
    asked = configured(name)
    training = msgspec.structs.replace(asked.training, steps=12, patience=2)
    return replace(material, config=msgspec.structs.replace(asked, training=training))


def test_the_smallest_code_on_the_plateau_is_chosen() -> None:
    assert tuned().code.changes == {"code": 3}
    assert tuned(tolerance=0.0).code.changes == {"code": 6}
    assert tuned(tolerance=10.0).code.changes == {"code": 1}


def test_what_is_searched_keeps_the_code_and_is_taken_where_it_is_better() -> None:
    worse, better = (Tried({"code": 3, "layers": 2}, error, 0.3, 90, 1.0) for error in (0.2, 0.05))
    assert tuned(searched=(worse,)).best == tuned().code
    assert tuned(searched=(worse, better)).best == better
    assert lines(tuned(searched=(better,))) == "code = 3\nlayers = 2"


def test_where_pca_rebuilds_as_well_it_is_said() -> None:
    linear = Tuned(Training(), (Tried({"code": 2}, 0.2, 0.1, 100, 1.0),), 0.05, ())
    assert "PCA of the same size rebuilds them as well or better (0.1)" in said(linear)
    assert "PCA" not in said(tuned())


@pytest.mark.parametrize("name", ["lstm", "dense"])
def test_a_real_search_gives_lines_that_a_config_takes(material: Material, name: str, tmp_path: Path) -> None:
    small = quick(material, name)
    shown: list[tuple[str, float]] = []
    found = tune(small, Question(trials=2), lambda text, share: shown.append((text, share)))
    assert [one.changes["code"] for one in found.codes] == codes(small)
    assert found.codes[0].error > found.plateau
    assert len(found.searched) == 2
    assert all(one.changes["code"] == found.code.changes["code"] for one in found.searched)
    assert [share for _, share in shown][len(found.codes) - 1] == 1.0
    kept = "\n".join(line for line in CONFIG.splitlines() if line.partition(" =")[0] not in tomllib.loads(lines(found)))
    again = config.parse(kept.replace("NAME", name) + "\n" + lines(found)).training
    assert again.code == found.code.changes["code"]
    assert tune(small, Question(trials=2), lambda *_: None).searched[1].changes == found.searched[1].changes
    plot(found, tmp_path / "elbow.svg")
    assert "PCA of the same size" in (tmp_path / "elbow.svg").read_text()
    assert facts(found)["training"] == {**found.code.changes, **found.best.changes}
    assert render(found).row_count == len(found.codes) + 2


def test_without_minutes_the_code_alone_is_found(material: Material) -> None:
    assert tune(quick(material, "dense"), Question(minutes=0), lambda *_: None).searched == ()


def test_what_has_no_network_is_refused(material: Material) -> None:
    with pytest.raises(ConfigError, match=r"training.autoencoder: pca has no network, so there is nothing to tune"):
        tune(replace(material, config=configured("pca")), Question(), lambda *_: None)


def test_codes_are_smaller_than_the_window(material: Material) -> None:
    assert codes(material)[-1] < material.window.length * len(material.channels)


def test_a_plot_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"give a name that ends in \.svg or \.png"):
        plot(tuned(), tmp_path / "elbow.doc")
