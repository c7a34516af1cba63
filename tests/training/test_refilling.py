"""An export with the weights of another graph is what a fresh export of that graph is."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from streamae.training.export import Exported, export
from streamae.training.graph import Graph
from tests.training.random_graphs import CHANNELS, exported, graph_of, walks

LENGTH = 40  # three views
# The LSTM has the memory beside it.
NAMES = ["pca", "lstm", "neighbours", "conv conditional"]


def outputs(exported: Exported) -> list[NDArray[np.float32]]:
    """What both graphs give for some windows, some of them partly silent."""
    windows = walks(30, LENGTH, seed=5).numpy()
    windows[np.random.default_rng(0).random(windows.shape) < 0.1] = np.nan
    profile = np.random.default_rng(1).uniform(0.5, 2, (30, 3, CHANNELS)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    found: list[NDArray[np.float32]] = []
    for model in (exported.model, exported.full):
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        found += session.run(None, {"windows": windows, "profile": profile})
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_refilled_export_gives_what_a_fresh_one_gives(name: str) -> None:
    first, after = exported(name, LENGTH), graph_of(name, LENGTH, seed=1)
    refilled = first.refilled(after)
    assert refilled is not None
    fresh, old = outputs(exported(name, LENGTH, seed=1)), outputs(first)
    for got, wanted, before in zip(outputs(refilled), fresh, old, strict=True):
        assert got.tobytes() == wanted.tobytes() != before.tobytes()
    assert first.refilled(after) == refilled
    again = refilled.refilled(graph_of(name, LENGTH))
    assert again is not None
    assert [one.tobytes() for one in outputs(again)] == [one.tobytes() for one in old]


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_is_in_the_export_under_its_name(name: str) -> None:
    """One that the exporter folds into a constant would stay as it was."""
    model = onnx.load_from_string(exported(name, LENGTH).model)
    in_model = {one.name for one in model.graph.initializer}
    assert {f"served.{weight}" for weight in graph_of(name, LENGTH).state_dict()} <= in_model


def test_weights_that_are_the_same_by_chance_are_refilled_apart() -> None:
    alike = graph_of("pca", LENGTH)
    alike.unit.fill_(1)
    alike.settled_unit.fill_(1)
    refilled = export(alike, LENGTH).refilled(graph_of("pca", LENGTH))
    assert refilled is not None
    for got, wanted in zip(outputs(refilled), outputs(exported("pca", LENGTH)), strict=True):
        assert got.tobytes() == wanted.tobytes()


def test_graphs_of_one_kind_are_exported_once_and_filled_anew() -> None:
    kind = b"of this test"
    first, after = export(graph_of("pca", LENGTH), LENGTH, kind), graph_of("pca", LENGTH, seed=1)
    filled, anew = export(after, LENGTH, kind), export(with_weight("pca", "components", (3, 5, 96)), LENGTH, kind)
    assert filled == first.refilled(after)
    embedding = outputs(anew)[-1]
    assert embedding.shape == (30, 3 * 5)  # another structure after all
    assert export(graph_of("neighbours", LENGTH), LENGTH, b"another") != filled


def test_weights_of_another_shape_cannot_be_refilled() -> None:
    assert exported("pca", LENGTH).refilled(with_weight("pca", "components", (3, 5, 96))) is None
    assert exported("neighbours", LENGTH).refilled(with_weight("neighbours", "bank", (7, 180))) is None


def with_weight(name: str, weight: str, shape: tuple[int, ...]) -> Graph:
    """A graph of which the first part has a weight of another shape."""
    graph = graph_of(name, LENGTH)
    setattr(graph.parts[0], weight, torch.zeros(shape, dtype=getattr(graph.parts[0], weight).dtype))
    return graph
