"""Undercomplete: a code smaller than the window. A line is PCA's; a curve is not."""

from __future__ import annotations

import pytest
import torch

from streamae.config import Training
from streamae.errors import ConfigError
from streamae.training.autoencoders.linear import fit_linear
from streamae.training.fitting import fit
from tests.training.objectives.learnt import BACKBONES, training, untrained
from tests.training.synthetic import circles, waves, windows_of


@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_is_not_linear_is_rebuilt_better_than_pca_can(backbone: str) -> None:
    """By way of as many numbers."""
    windows = windows_of(circles(), circles(seed=1))
    given = training("undercomplete", backbone, code=2, rank=2, hidden=(32,), learning_rate=1e-2)
    fitted = fit(windows, torch.ones(3), given)
    pca = fit(windows, torch.ones(3), Training(autoencoder="pca", rank=2))
    assert min(loss for _, loss in fitted.losses) < 0.8 * pca.losses[0][1]


def test_where_the_network_is_linear_it_rebuilds_as_pca_does() -> None:
    """Within 2 % of the error, on the windows that both have learnt from."""
    normal = waves()
    windows = windows_of(normal, normal)
    given = training("undercomplete", activation="identity", code=3, hidden=(16,), steps=1500, learning_rate=1e-2)
    network = fit(windows, torch.ones(2), given)
    rows, seen = windows.scaled(windows.learn, windows.learn.spread(3000))
    pca = fit_linear(rows, 3, [slice(0, 8)])(rows, seen)[0]
    best = float((pca - rows).square().mean())
    assert min(loss for _, loss in network.losses) == pytest.approx(best, rel=0.02)


def test_a_code_no_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\$.training.code: 48 numbers for the 48 that a network sees"):
        untrained(training("undercomplete", code=48))
    untrained(training("undercomplete", code=47))
    untrained(training("sparse", code=100))
