"""Uses of closed windows: each by itself, refused where a kind cannot serve them."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import onnx
import pytest

from streamae.detection.artifact import Artifact
from streamae.detection.repairing import given_out
from streamae.detection.scoring import Scorer
from streamae.detection.uses import Use, Uses, rounded
from streamae.detection.windows import Windows
from streamae.errors import ArtifactError, ConfigError
from tests.graphs import tiny_artifact


def windows_of(artifact: Artifact, count: int = 300) -> Windows:
    """Windows with silence of series that are known and not."""
    spec, channels = artifact.manifest.window, len(artifact.manifest.channels)
    draw = np.random.default_rng(0)
    values = draw.normal(size=(count, spec.length, channels)).astype(np.float32)
    values[draw.random(values.shape) < 0.2] = np.nan
    none = np.zeros(count, np.int64)
    start = np.arange(count) * spec.cadence_ms
    names = ["pump-1" if at % 2 else "pump-2" for at in range(count)]
    return Windows(names, start, start + spec.length_ms, values, np.ones(count), none, none, none)


def test_what_becomes_of_a_window_does_not_depend_on_those_beside_it() -> None:
    artifact = tiny_artifact(length=16, stride=4, centres={"pump-1": 0.5})
    windows, uses = windows_of(artifact), Uses(artifact, get_args(Use))
    together = uses.of(windows)
    for at in (0, 1, 255, 256, 299):
        row = slice(at, at + 1)
        columns = {name: getattr(windows, name)[row] for name in Windows.__slots__}
        for alone, beside in zip(uses.of(Windows(**columns)), together, strict=True):
            assert alone is not None
            assert beside is not None
            assert alone.tobytes() == beside[row].tobytes()


def test_what_was_measured_is_told_from_what_was_filled() -> None:
    artifact = tiny_artifact(length=16, stride=4)
    windows = windows_of(artifact)
    used = Uses(artifact, ["impute"]).of(windows)
    measured = windows.values[:, given_out(artifact.manifest.window)]
    assert used.imputed is not None
    assert used.uncertainty is not None
    there = ~np.isnan(measured)
    assert (np.isnan(used.uncertainty) == (there | np.isnan(used.imputed))).all()
    np.testing.assert_allclose(used.imputed[there], measured[there], rtol=1e-6)
    assert used.embedding is None
    assert used.cleaned is None


def test_values_have_their_origin_again() -> None:
    plain, high = tiny_artifact(length=16, stride=4), tiny_artifact(length=16, stride=4, origins=[1000.0, 0.0])
    one, other = (Uses(artifact, ["clean"]).of(windows_of(artifact)).cleaned for artifact in (plain, high))
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(other - one, np.broadcast_to([1000.0, 0.0], one.shape) + 0 * one, atol=1e-9)


def test_nothing_asked_for_is_nothing_made() -> None:
    artifact = tiny_artifact()
    assert Uses(artifact, ()).of(windows_of(artifact)) == (None,) * 4


def test_a_use_that_a_kind_cannot_serve_is_refused_with_the_kinds_that_can() -> None:
    artifact = tiny_artifact()
    assert artifact.repair is not None
    none = np.empty((0, 2), np.float32)
    unable = replace(artifact, repair=replace(artifact.repair, weight=none, spread=none))
    with pytest.raises(ConfigError, match=r"cannot impute: .* Train masked, denoising with .* or the autoencoder pca"):
        Uses(unable, ["impute"])
    with pytest.raises(ConfigError, match=r"tiny@1 has no repair\.npz, .*: train it again"):
        Uses(replace(artifact, repair=None), ["clean"])
    with pytest.raises(ConfigError, match=r"tiny@1 has no encoder\.onnx, .*: train it again"):
        Uses(replace(artifact, encoder=b""), ["embed"])


def test_a_graph_whose_windows_are_not_by_themselves_is_refused_before_it_serves() -> None:
    """Shared with its neighbours: each window's embedding has the mean of the batch in it."""
    artifact = tiny_artifact()
    mixing = replace(artifact, encoder=_mixing(artifact.encoder))
    Scorer(artifact, uses=["embed"]).prove()
    with pytest.raises(ArtifactError, match="depends on the windows beside it"):
        Scorer(mixing, uses=["embed"]).prove()


def _mixing(encoder: bytes) -> bytes:
    model = onnx.load_from_string(encoder)
    model.graph.output[0].name = "own"
    for node in model.graph.node:
        node.output[:] = ["own" if name == "embedding" else name for name in node.output]
    model.graph.node.extend(
        [
            onnx.helper.make_node("ReduceMean", ["own", "zero"], ["mean"], keepdims=1),
            onnx.helper.make_node("Add", ["own", "mean"], ["embedding"]),
        ]
    )
    model.graph.output[0].name = "embedding"
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("value", "origin", "wanted"),
    [
        (0.1, 0.0, 0.1),
        (1234.5678, 0.0, 1234.568),
        (-1e-12, 0.0, -1e-12),
        (0.0, 5.0, 5.0),
        (0.1, 1000.0, 1000.1),
        (123456789.0, 0.0, 123456800.0),
    ],
)
def test_text_shows_the_digits_that_float32_has(value: float, origin: float, wanted: float) -> None:
    assert rounded(np.array([value], np.float32), origin).tolist() == [wanted]
