"""Codes of windows and windows of codes, through graphs that hold no more than that takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamae.detection.coding import Decoder, Encoder
from streamae.errors import ConfigError
from tests.graphs import tiny_artifact


def test_a_model_without_an_encoder_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"tiny@1 has no encoder\.onnx: train it again"):
        Encoder(replace(tiny_artifact(), encoder=b""))


def test_a_model_whose_code_cannot_be_sampled_says_which_can() -> None:
    with pytest.raises(ConfigError, match=r"cannot generate: .*variational, conditional or adversarial"):
        Decoder(tiny_artifact())


def test_a_code_is_the_same_alone_and_in_any_batch() -> None:
    artifact = tiny_artifact()
    encoder, golden = Encoder(artifact), artifact.golden
    together = encoder.embed(golden.windows, golden.profile)
    assert together.shape == (5, 2)
    np.testing.assert_allclose(together[0], golden.windows[0].mean(axis=0), rtol=1e-5)
    for at in range(5):
        row = slice(at, at + 1)
        assert encoder.embed(golden.windows[row], golden.profile[row]).tobytes() == together[row].tobytes()
