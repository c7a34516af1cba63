"""Scorer: windows -> errors -> scores, through the ONNX graph. Stateless; shared by all partitions.

B windows, T ticks, C channels. What a window scores never depends on the windows beside it:
micro-batches are only a matter of speed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.runtime import Device, Session
from streamae.detection.uses import Use, Uses
from streamae.errors import ArtifactError

GOLDEN_TOLERANCE = 1e-5  # relative, or in error units; other kernels sum in another order


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
    """Runs an artifact's graphs, and what is to be made of windows beside scores.

    Raises MissingExtra without a runtime, ArtifactError for a graph that cannot run, ConfigError for a use that it
    cannot serve.
    """

    def __init__(self, artifact: Artifact, device: Device = "cpu", uses: Collection[Use] = ()) -> None:
        self.artifact = artifact
        self.device = device
        self._model = Session(artifact.model, device, "model.onnx")
        self._full = Session(artifact.full, device, "full.onnx")
        self.uses = Uses(artifact, uses, device, self._full)
        self._check_shapes()

    def errors(
        self, windows: NDArray[np.float32], profile: NDArray[np.float32], micro_batch: int | None = None
    ) -> Errors:
        """Errors of windows [B, T, C] (NaN = silence) under the profile [B, 3, C] of each one's series."""
        names = ["error", "settled_error", "channel_error"]
        return Errors(*self._model.run(names, {"windows": windows, "profile": profile}, micro_batch))

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
                f"{self.artifact.label}: model.onnx gives errors that are no numbers; roll back to the version before"
            )
        return Scores(score, settled, errors.channel_error, threshold)

    def reconstruct(self, windows: NDArray[np.float32], series: Sequence[str]) -> NDArray[np.float32]:
        """What the model would have expected, [B, T, C], in raw units less the origin."""
        inputs = {"windows": windows, "profile": self.artifact.profiles.rows(series)}
        (expected,) = self._full.run(["reconstruction"], inputs)
        return expected

    def prove(self) -> None:
        """Run the golden windows, which also warms the session. Raises ArtifactError where an output differs.

        A window must score the same to the last bit whatever stands beside it: a replay cuts batches anew.
        """
        golden = self.artifact.golden
        try:
            seen = self.errors(golden.windows, golden.profile)
            alone = self.errors(golden.windows, golden.profile, micro_batch=1)
            self.reconstruct(golden.windows[:1], [""])
        except Exception as error:  # the runtime's errors share no parent
            raise ArtifactError(f"{self.artifact.label}: its graphs do not run ({error})") from error
        for name in ("error", "settled_error", "channel_error"):
            want, got = getattr(golden, name), getattr(seen, name)
            if want.shape != got.shape or not np.allclose(got, want, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE):
                raise ArtifactError(
                    f"{self.artifact.label}: model.onnx does not reproduce its golden windows ({name} differs); "
                    "this runtime computes something else than the one that exported it"
                )
            if not np.array_equal(got, getattr(alone, name)):
                raise ArtifactError(
                    f"{self.artifact.label}: on this machine a window's {name} depends on the windows beside it, so a "
                    "replay would not give the same alerts; train it again here, or serve it where it was trained"
                )
        if self.uses.asked:
            self.uses.prove(golden.windows, golden.profile)

    def _check_shapes(self) -> None:
        manifest = self.artifact.manifest
        want = [manifest.window.length, len(manifest.channels)]
        for name, graph in (("model.onnx", self._model), ("full.onnx", self._full)):
            if graph.shapes.get("windows") != want or graph.shapes.get("profile") != [3, want[1]]:
                raise ArtifactError(
                    f"{self.artifact.label}: {name} takes {graph.shapes}, "
                    f"the manifest says windows {want} and profile [3, {want[1]}]"
                )
