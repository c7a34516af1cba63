"""An error is the same to the last bit alone, in any batch and at any place in it: replays cut batches elsewhere."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.training.random_graphs import CHANNELS, exported, walks

COUNT = 131
WHOLE = slice(20, 70)  # windows without silence
Outputs = list[NDArray[np.float32]]


class Served:
    """A model on some windows, from calm to wild, whole and partly silent."""

    def __init__(self, model: bytes, length: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # as the Scorer has it: an LSTM splits a batch of one between several
        provider = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(model, options, providers=provider)
        rng = np.random.default_rng(1)
        self._windows = walks(COUNT, length, seed=2).numpy() * rng.exponential(1, (COUNT, 1, 1)).astype(np.float32)
        silent = rng.random(self._windows.shape) < 0.05
        silent[WHOLE] = False  # alone, they are scored without filling anything in
        self._windows[silent] = np.nan
        self._windows[3], self._windows[5, :, 0], self._windows[7, length // 2 :] = np.nan, np.nan, np.nan
        self._profile = rng.uniform(0.5, 2, (COUNT, 3, CHANNELS)).astype(np.float32)

    def outputs(self, rows: slice) -> Outputs:
        """What it gives for some of the windows, together in one batch."""
        return list(self._session.run(None, {"windows": self._windows[rows], "profile": self._profile[rows]}))

    def in_batches(self, size: int, first: int = 0) -> Outputs:
        """What it gives for the windows from the first on, in batches of one size."""
        parts = [self.outputs(slice(at, min(at + size, COUNT))) for at in range(first, COUNT, size)]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]


KINDS = [(name, length) for length in (128, 40, 32) for name in ("pca", "transformer")]
KINDS += [("lstm", 128), ("dense masked", 40), ("conv variational", 32)]


@pytest.mark.parametrize(("name", "length"), KINDS)
def test_an_error_is_the_same_alone_and_in_any_batch(name: str, length: int) -> None:
    served = Served(exported(name, length).model, length)
    together = served.outputs(slice(0, COUNT))
    assert len(np.unique(together[0])) > 0.9 * COUNT
    for size in (1, 2, 7, 64):
        for apart, whole in zip(served.in_batches(size), together, strict=True):
            assert apart.tobytes() == whole.tobytes()
    for first in range(1, 18):
        for later, whole in zip(served.outputs(slice(first, COUNT)), together, strict=True):
            assert later.tobytes() == whole[first:].tobytes()


@pytest.mark.parametrize("length", [128, 32])
@pytest.mark.parametrize("name", ["pca", "transformer"])
def test_no_sum_within_depends_on_the_place_in_a_batch(name: str, length: int) -> None:
    """Rounding to float32 at the end hides nearly all of what differs in a sum of float64, but not all."""
    model = onnx.load_from_string(exported(name, length).model)
    sums = [node.output[0] for node in model.graph.node if node.op_type == "ReduceSum"]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=one) for one in sums)
    served = Served(model.SerializeToString(), length)
    together = served.outputs(slice(0, COUNT))
    for first in range(1, 5):
        for name_of, later, whole in zip(sums, served.outputs(slice(first, COUNT)), together, strict=True):
            if len(later) == COUNT - first + 1:  # what concerns windows; a window of zeros is computed beside
                assert later[:-1].tobytes() == whole[first:-1].tobytes(), name_of
