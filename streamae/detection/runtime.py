"""Runtime: sessions of ONNX Runtime, and how they are run.

B windows. What a window comes to never depends on the windows beside it: micro-batches are only a matter of speed.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamae.errors import ArtifactError, ConfigError, MissingExtra

MICRO_BATCH = 64  # windows a run: the network's cost per window is flat from here on, and results come in slices

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


def session(graph: bytes, device: Device, name: str) -> Any:
    """A session for the graph in a file of this name. Raises ArtifactError, ConfigError, MissingExtra."""
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # one process a core; the default's spinning threads double the CPU for nothing
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if device == "cuda":
        providers.insert(0, "CUDAExecutionProvider")
    try:
        session = ort.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # the runtime's errors share no parent
        raise ArtifactError(f"{name} cannot be loaded by ONNX Runtime {ort.__version__}: {error}") from error
    if device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        raise ConfigError(
            "$.serving.device: 'cuda' was asked for, but ONNX Runtime fell back to the CPU; "
            'install streamae[gpu] and a driver that it supports, or set device = "cpu"'
        )
    return session


def run(
    session: Any, names: list[str], inputs: dict[str, NDArray[np.float32]], micro_batch: int = MICRO_BATCH
) -> list[NDArray[np.float32]]:
    """Run in micro-batches and join. An empty batch runs too: it gives empty outputs of the right shapes."""
    count = len(next(iter(inputs.values())))
    slices = [slice(at, at + micro_batch) for at in range(0, max(count, 1), micro_batch)]
    parts = [session.run(names, {name: values[some] for name, values in inputs.items()}) for some in slices]
    return [np.concatenate(columns) if len(parts) > 1 else columns[0] for columns in zip(*parts, strict=True)]
