"""Coding: windows to codes and back, through the graphs that hold no more than that takes.

B windows, T ticks, C channels, K numbers of a code, Q context channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.runtime import Device, Session
from streamae.errors import ConfigError

Floats = NDArray[np.float32]


class Encoder:
    """Gives the codes of windows. Raises ConfigError for a model that was trained before there were such graphs."""

    def __init__(self, artifact: Artifact, device: Device = "cpu") -> None:
        if not artifact.encoder:
            raise ConfigError(f"{artifact.label} has no encoder.onnx: train it again")
        self._session = Session(artifact.encoder, device, "encoder.onnx")

    def embed(self, windows: Floats, profile: Floats) -> Floats:
        """The codes [B, K] of windows [B, T, C] (NaN = silence) under the profile [B, 3, C] of each one's series."""
        (code,) = self._session.run(["embedding"], {"windows": windows, "profile": profile})
        return code


class Decoder:
    """Makes windows of codes. Raises ConfigError for a model whose code cannot be sampled."""

    def __init__(self, artifact: Artifact, device: Device = "cpu") -> None:
        if not artifact.decoder:
            raise ConfigError(
                f"{artifact.label} cannot generate: its code is like no known distribution. Train one with "
                "$.training.objective = variational, conditional or adversarial"
            )
        self._session = Session(artifact.decoder, device, "decoder.onnx")
        self._takes = sorted(self._session.shapes)
        self.size = int(self._session.shapes["code"][0])  # K

    @property
    def conditional(self) -> bool:
        """Whether it is given context."""
        return "context" in self._takes

    def decode(self, code: Floats, profile: Floats, context: Floats) -> Floats:
        """Windows [B, T, C] of codes [B, K], under profiles [B, 3, C], given the context channels [B, T, Q] if at all.

        Raw units less the origin, also of the context.
        """
        inputs = {"code": code, "profile": profile, "context": context}
        (windows,) = self._session.run(["reconstruction"], {name: inputs[name] for name in self._takes})
        return windows
