"""Runtime: graphs in sessions of ONNX Runtime, and how they are run.

B windows. What a window comes to never depends on the windows beside it: micro-batches are only a matter of speed. On
a GPU that takes runs of one shape: kernels are chosen by the shape, and each of them sums in an order of its own.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamae.errors import ArtifactError, ConfigError, MissingExtra

MICRO_BATCH = 64  # windows a run: the network's cost per window is flat from here on, and results come in slices
BUCKET = 1024  # windows of every run on CUDA, those that are missing as zeros: 256 would take hardly less time
GPU = "CUDAExecutionProvider"
CUDA = {
    "use_tf32": "0",  # its 10 bits of mantissa would change scores in their fourth digit
    "cudnn_conv_algo_search": "HEURISTIC",  # not by trying them all: what wins differs from start to start
}
HEAVY = {"Attention", "Conv", "Einsum", "FusedMatMul", "GRU", "Gemm", "LSTM", "MatMul", "MultiHeadAttention", "RNN"}
NO_GPU = (
    "$.serving.device: 'cuda' was asked for, but {}; "
    'install streamae[gpu] and a driver that it supports, or set device = "cpu"'
)

Device = Literal["cpu", "cuda"]


def runtime() -> Any:
    """The one ONNX Runtime of this environment. Raises MissingExtra without one, ConfigError with two."""
    wheels = {d.name for d in importlib.metadata.distributions() if d.name in ("onnxruntime", "onnxruntime-gpu")}
    if len(wheels) > 1:
        raise ConfigError(
            "onnxruntime and onnxruntime-gpu are both installed; they overwrite each other's files. "
            "Uninstall both, then install streamae[cpu] or streamae[gpu]"
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("scoring needs ONNX Runtime: pip install 'streamae[cpu]' (or [gpu])") from error
    return onnxruntime


class Session:
    """A graph, ready to run on a device.

    Raises MissingExtra without a runtime, ArtifactError for what is no graph, ConfigError without the device.
    """

    def __init__(self, graph: bytes, device: Device, name: str) -> None:
        """`name` is that of the graph's file."""
        self._fixed = device == "cuda"
        self._session = (
            _on_cuda(graph, name) if self._fixed else _opened(graph, name, _options(), "CPUExecutionProvider")
        )
        self.shapes = {node.name: list(node.shape[1:]) for node in self._session.get_inputs()}  # without the batch

    def run(
        self, names: list[str], inputs: dict[str, NDArray[np.float32]], micro_batch: int | None = None
    ) -> list[NDArray[np.float32]]:
        """Run in micro-batches (on CUDA of at most BUCKET windows) and join.

        An empty batch runs too: it gives empty outputs of the right shapes.
        """
        count = len(next(iter(inputs.values())))
        step = min(micro_batch or BUCKET, BUCKET) if self._fixed else micro_batch or MICRO_BATCH
        parts = []
        for at in range(0, max(count, 1), step):
            given = {name: values[at : at + step] for name, values in inputs.items()}
            if self._fixed:
                given = {name: _filled_up(values) for name, values in given.items()}
            parts.append([output[: min(count - at, step)] for output in self._session.run(names, given)])
        return [np.concatenate(columns) if len(parts) > 1 else columns[0] for columns in zip(*parts, strict=True)]


def _filled_up(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[B, ...] -> [BUCKET, ...]."""
    bucket = np.zeros((BUCKET, *values.shape[1:]), np.float32)
    bucket[: len(values)] = values
    return bucket


def _options() -> Any:
    options = runtime().SessionOptions()
    options.intra_op_num_threads = 1  # one process a core; the default's spinning threads double the CPU for nothing
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _opened(graph: bytes, name: str, options: Any, provider: Any) -> Any:
    ort = runtime()
    try:
        return ort.InferenceSession(graph, options, providers=[provider])
    except Exception as error:  # the runtime's errors share no parent
        raise ArtifactError(f"{name} cannot be loaded by ONNX Runtime {ort.__version__}: {error}") from error


def _on_cuda(graph: bytes, name: str) -> Any:
    """A session that runs on the GPU, or an error: a CPU in its place would be found out by nothing but its lag."""
    ort = runtime()
    if GPU not in ort.get_available_providers():
        raise ConfigError(NO_GPU.format("this ONNX Runtime is built for the CPU"))
    ort.preload_dlls(directory="")  # CUDA and cuDNN as pip installs them, which are on no path
    options = _options()
    options.add_free_dimension_override_by_name("batch", BUCKET)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = _opened(graph, name, options, (GPU, CUDA))
    if session.get_providers()[0] != GPU:
        raise ConfigError(NO_GPU.format("ONNX Runtime fell back to the CPU"))
    placed = session.get_provider_graph_assignment_info()
    elsewhere = [node.op_type for part in placed if part.ep_name != GPU for node in part.get_nodes()]
    if left := HEAVY.intersection(elsewhere):  # others may be: what counts shapes is kept on the CPU
        raise ConfigError(NO_GPU.format(f"{', '.join(sorted(left))} of {name} would run on the CPU"))
    return session
