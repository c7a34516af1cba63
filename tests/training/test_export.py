"""The exported graph: equal to the network, deterministic, and blind to the windows beside a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Threshold
from streamae.detection.scoring import Scorer
from streamae.errors import ExportRefused
from streamae.training.autoencoders import Autoencoder, Shape
from streamae.training.autoencoders.linear import Linear, fit_linear
from streamae.training.building import build
from streamae.training.export import RANDOM, export
from streamae.training.graph import Graph
from streamae.training.material import Material
from streamae.training.parity import BATCHES, TOLERANCE, prove_parity
from streamae.training.views import look, places
from tests.training.conftest import configured

LIMIT = Threshold(error=1.0, settled=1.0)


def windows_like(artifact: Artifact, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Windows [B, T, C] from calm to wild, some cells silent, and a profile for each [B, 3, C]."""
    rng = np.random.default_rng(7)
    table = artifact.profiles.table
    profile = table[rng.integers(0, len(table), count)]
    shape = (count, artifact.manifest.window.length, len(artifact.manifest.channels))
    wild = rng.exponential(1.0, (count, 1, 1))
    windows = (profile[:, :1] + profile[:, 1:2] * wild * rng.standard_normal(shape)).astype(np.float32)
    windows[rng.random(shape) < 0.05] = np.nan
    windows[3], windows[5, :, 0] = np.nan, np.nan
    return windows, profile


def operators(graph: bytes) -> set[str]:
    return {node.op_type for node in onnx.load_from_string(graph).graph.node}


def test_parity_is_proved_at_every_batch_size(artifact: Artifact) -> None:
    assert [proof.batch for proof in artifact.manifest.parity] == list(BATCHES)
    assert all(0 <= proof.relative_difference <= TOLERANCE for proof in artifact.manifest.parity)
    assert all(proof.threshold_flips == 0 for proof in artifact.manifest.parity)


def test_served_graphs_hold_no_random_operator(artifact: Artifact) -> None:
    for graph in (artifact.model, artifact.full):
        assert not operators(graph) & RANDOM


def test_served_graphs_tell_nothing_of_where_they_were_made(artifact: Artifact) -> None:
    for graph in (artifact.model, artifact.full):
        assert b"/streamae/" not in graph
        assert b".py" not in graph


@pytest.mark.parametrize("batch", [2, 7, 33, 63, 64, 65])
def test_a_score_does_not_depend_on_the_windows_beside_it(artifact: Artifact, batch: int) -> None:
    scorer = Scorer(artifact)
    windows, profile = windows_like(artifact, 200)
    together = scorer.errors(windows, profile)
    for at in range(0, 200, batch):
        rows = slice(at, at + batch)
        apart = scorer.errors(windows[rows], profile[rows])
        for name in ("error", "settled_error", "channel_error"):
            assert getattr(apart, name).tobytes() == getattr(together, name)[rows].tobytes()


def test_a_score_does_not_depend_on_being_alone(artifact: Artifact) -> None:
    scorer = Scorer(artifact)
    windows, profile = windows_like(artifact, 64)
    together = scorer.errors(windows, profile).error
    alone = [scorer.errors(windows[at : at + 1], profile[at : at + 1]).error[0] for at in range(64)]
    assert np.array(alone).tobytes() == together.tobytes()


def test_no_windows_give_no_scores(artifact: Artifact) -> None:
    windows, profile = windows_like(artifact, 8)
    errors = Scorer(artifact).errors(windows[:0], profile[:0])
    assert (errors.error.shape, errors.settled_error.shape, errors.channel_error.shape) == ((0,), (0,), (0, 3))


def test_a_score_does_not_depend_on_the_place_in_a_batch() -> None:
    """Rows of 23 channels lie unaligned in memory, where a sum takes another order."""
    channels = 23
    normal = torch.randn(60, 8, channels, generator=torch.Generator().manual_seed(0)).cumsum(dim=1)
    graph = Graph([linear_part(normal, 3)], 8, torch.ones(channels))
    session = onnxruntime.InferenceSession(export(graph.eval(), 8).model, providers=["CPUExecutionProvider"])
    profile = np.tile(np.array([0, 1, 1], np.float32)[None, :, None], (60, 1, channels))

    def error(rows: slice) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(
            ["error"], {"windows": normal.numpy()[rows], "profile": profile[rows]}
        )[0]
        return found

    together = error(slice(0, 60))
    for first in range(1, 17):
        assert error(slice(first, 60)).tobytes() == together[first:].tobytes()


def test_the_full_graph_expects_what_is_normal(artifact: Artifact) -> None:
    scorer = Scorer(artifact)
    name = artifact.profiles.series[0]
    normal = np.nan_to_num(artifact.golden.windows[:1], nan=float(artifact.profiles.rows([name])[0, 0].mean()))
    expected = scorer.reconstruct(normal, [name])
    assert expected.shape == normal.shape
    scale = artifact.profiles.rows([name])[0, 1]
    assert np.abs((expected - normal)[0] / scale).mean() < 0.5


class Level(Autoencoder):
    """Expects every channel to stay at its mean."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def encode(self, rows: Tensor, seen: Tensor) -> Tensor:
        return rows.mean(dim=1)

    def decode(self, code: Tensor) -> Tensor:
        return code[:, None].expand(-1, self.shape.rows, self.shape.channels)


class Shaky(Level):
    """An autoencoder that says something else every time."""

    def decode(self, code: Tensor) -> Tensor:
        return torch.randn(1, self.shape.rows, self.shape.channels)


def small_windows() -> Tensor:
    return torch.randn(60, 12, 2, generator=torch.Generator().manual_seed(0)).cumsum(dim=1)


def linear_part(normal: Tensor, rank: int) -> Linear:
    rows, _ = look(normal, torch.ones_like(normal, dtype=torch.bool))
    return fit_linear(rows, rank, places(normal.shape[1]))


def small_graph(beside: type[Level] = Level) -> Graph:
    """A graph of windows of 12 ticks, which are seen in two views."""
    return Graph([linear_part(small_windows(), 3), beside(Shape(20, 2))], 12, torch.ones(2)).eval()


def test_random_operators_are_refused() -> None:
    with pytest.raises(ExportRefused, match="random operators"):
        export(small_graph(Shaky), 12)


class Unexportable(Level):
    """An autoencoder that decides in Python by what it sees."""

    def encode(self, rows: Tensor, seen: Tensor) -> Tensor:
        return rows[:, 0] if rows.sum() > 0 else rows[:, 1]


def test_what_cannot_be_exported_is_refused() -> None:
    with pytest.raises(ExportRefused, match="cannot export this autoencoder"):
        export(small_graph(Unexportable), 12)


def test_a_linear_part_without_components_exports() -> None:
    normal = torch.randn(60, 8, 2, generator=torch.Generator().manual_seed(0))
    graph = Graph([linear_part(normal, 0)], 8, torch.ones(2)).eval()
    exported = export(graph, 8)
    profile = np.tile(np.array([0, 1, 1], np.float32)[None, :, None], (60, 1, 2))
    inputs = {"windows": normal.numpy(), "profile": profile}
    model, full = (
        onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
        for part in (exported.model, exported.full)
    )
    (error,) = model.run(["error"], inputs)
    reconstruction, embedding = full.run(["reconstruction", "embedding"], inputs)
    np.testing.assert_allclose(error, graph(normal, torch.from_numpy(profile))[0], rtol=1e-5)
    np.testing.assert_allclose(reconstruction, normal.mean(dim=0).expand(60, -1, -1), atol=1e-6)
    assert not embedding.any()


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert export(small_graph(), 12) == export(small_graph(), 12)


def test_an_export_that_differs_is_refused(material: Material) -> None:
    """Sabotage: one constant of the exported graph is off by a hundredth of a scale."""
    built = build(material, configured().training)
    probes = windows_like(built.artifact, 64)
    graph = built.fitted.graph
    assert len(prove_parity(graph, Scorer(built.artifact), probes, LIMIT)) == len(BATCHES)
    model = onnx.load_from_string(built.artifact.model)
    (mean,) = (tensor for tensor in model.graph.initializer if tensor.name == "served.parts.0.mean")
    off = onnx.numpy_helper.to_array(mean) + 0.01
    mean.CopyFrom(onnx.numpy_helper.from_array(off, mean.name))
    sabotaged = replace(built.artifact, model=model.SerializeToString())
    with pytest.raises(ExportRefused, match=r"at batch 1 the exported graph's error differs by \d\.\de-0[1-3] from"):
        prove_parity(graph, Scorer(sabotaged), probes, LIMIT)
