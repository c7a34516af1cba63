"""Scorer: windows -> errors -> scores, through the ONNX graph. Stateless; shared by all partitions.

B windows, T ticks, C channels. What a window scores never depends on the windows beside it:
micro-batches are only a matter of speed.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.errors import ArtifactError, ConfigError, MissingExtra

MICRO_BATCH = 64  # windows a run: the network's cost per window is flat from here on, and results come in slices
GOLDEN_TOLERANCE = {"cpu": 1e-5, "cuda": 1e-3}  # relative, or in error units; other kernels sum in another order

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Errors:
    """What the graph gives for B windows."""

    error: NDArray[np.float32]  # [B] causal: alerts fire on it
    settled_error: NDArray[np.float32]  # [B] of the whole window: it confirms
    channel_error: NDArray[np.float32]  # [B, C]


@dataclass(frozen=True)
class Scores:
    """Errors over thresholds for B windows: above 1 is anomalous, the same for every model and series."""

    score: NDArray[np.float64]  # [B]
    settled: NDArray[np.float64]  # [B]
    channel_error: NDArray[np.float32]  # [B, C]
    threshold: NDArray[np.float64]  # [B] the error that a score of 1 stands for


class Scorer:
    """Runs an artifact's graphs. Raises MissingExtra without a runtime, ArtifactError for a graph that cannot run."""

    def __init__(self, artifact: Artifact, device: Device = "cpu") -> None:
        self.artifact = artifact
        self.device = device
        self._model = _session(artifact.model, device, "model.onnx")
        self._full = _session(artifact.full, device, "full.onnx")
        self._check_shapes()

    def errors(
        self, windows: NDArray[np.float32], profile: NDArray[np.float32], micro_batch: int = MICRO_BATCH
    ) -> Errors:
        """Errors of windows [B, T, C] (NaN = silence) under the profile [B, 3, C] of each one's series."""
        names = ["error", "settled_error", "channel_error"]
        return Errors(*_run(self._model, names, (windows, profile), micro_batch))

    def score(self, windows: NDArray[np.float32], series: Sequence[str]) -> Scores:
        """Scores of windows [B, T, C]; `series` names each one's series."""
        errors = self.errors(windows, self.artifact.profiles.rows(series))
        manifest = self.artifact.manifest
        known = [manifest.thresholds.get(name, manifest.threshold) for name in series]
        threshold = np.array([t.error for t in known], np.float64)
        with np.errstate(over="ignore"):
            score = errors.error / threshold
            settled = errors.settled_error / np.array([t.settled for t in known], np.float64)
        if not (np.isfinite(score).all() and np.isfinite(settled).all()):
            raise ArtifactError(
                f"{self._label()}: model.onnx gives errors that are no numbers; roll back to the version before"
            )
        return Scores(score, settled, errors.channel_error, threshold)

    def reconstruct(self, windows: NDArray[np.float32], series: Sequence[str]) -> NDArray[np.float32]:
        """What the model would have expected, [B, T, C], in raw units less the origin."""
        inputs = windows, self.artifact.profiles.rows(series)
        (expected,) = _run(self._full, ["reconstruction"], inputs, MICRO_BATCH)
        return expected

    def prove(self) -> None:
        """Run the golden windows, which also warms the session. Raises ArtifactError where an output differs.

        On the CPU a window must score the same to the last bit whatever stands beside it: a replay cuts batches anew.
        """
        golden = self.artifact.golden
        try:
            seen = self.errors(golden.windows, golden.profile)
            alone = self.errors(golden.windows, golden.profile, micro_batch=1)
            self.reconstruct(golden.windows[:1], [""])
        except Exception as error:  # the runtime's errors share no parent
            raise ArtifactError(f"{self._label()}: its graphs do not run ({error})") from error
        tolerance = GOLDEN_TOLERANCE[self.device]
        for name in ("error", "settled_error", "channel_error"):
            want, got = getattr(golden, name), getattr(seen, name)
            if want.shape != got.shape or not np.allclose(got, want, rtol=tolerance, atol=tolerance):
                raise ArtifactError(
                    f"{self._label()}: model.onnx does not reproduce its golden windows ({name} differs); "
                    "this runtime computes something else than the one that exported it"
                )
            if self.device == "cpu" and not np.array_equal(got, getattr(alone, name)):
                raise ArtifactError(
                    f"{self._label()}: on this machine a window's {name} depends on the windows beside it, so a replay "
                    "would not give the same alerts; train it again here, or serve it where it was trained"
                )

    def _check_shapes(self) -> None:
        manifest = self.artifact.manifest
        want = [manifest.window.length, len(manifest.channels)]
        for name, session in (("model.onnx", self._model), ("full.onnx", self._full)):
            shapes = {node.name: node.shape[1:] for node in session.get_inputs()}
            if shapes.get("windows") != want or shapes.get("profile") != [3, want[1]]:
                raise ArtifactError(
                    f"{self._label()}: {name} takes {shapes}, "
                    f"the manifest says windows {want} and profile [3, {want[1]}]"
                )

    def _label(self) -> str:
        return f"{self.artifact.manifest.name}@{self.artifact.manifest.version or 'unregistered'}"


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


def _session(graph: bytes, device: Device, name: str) -> Any:
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


def _run(
    session: Any, names: list[str], inputs: tuple[NDArray[np.float32], NDArray[np.float32]], micro_batch: int
) -> list[NDArray[np.float32]]:
    """Run in micro-batches and join. An empty batch runs too: it gives empty outputs of the right shapes."""
    windows, profile = inputs
    slices = [slice(at, at + micro_batch) for at in range(0, max(len(windows), 1), micro_batch)]
    parts = [session.run(names, {"windows": windows[some], "profile": profile[some]}) for some in slices]
    return [np.concatenate(columns) if len(parts) > 1 else columns[0] for columns in zip(*parts, strict=True)]
