"""Uses: what is made of closed windows beside their scores.

    embed     the code of a window, through encoder.onnx alone, or from the same run as the others
    clean     what was measured, without what is most likely noise
    impute    the same, with silence filled, and how sure that is

Of each window one stride of ticks is given out, the same ticks of every window, so that a tick comes once. A window
is used by itself, whatever stands beside it: a replay gives the same, to the last bit.

B windows, T ticks, G ticks that are given out, C channels, K numbers of a code.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.repairing import Floats, Repair, clean, fill, given_out
from streamae.detection.runtime import BUCKET, Device, Session
from streamae.detection.windows import Windows
from streamae.errors import ArtifactError, ConfigError

Use = Literal["embed", "clean", "impute"]
SLICE = {"cpu": 256, "cuda": BUCKET}  # windows at once, so that memory does not grow with what a poll closes
DIGITS = 7  # that float32 has
FILLING = "masked, denoising with `dropped` or `blocked`, or the autoencoder pca"
Doubles = NDArray[np.float64]


class Used(NamedTuple):
    """What became of B windows; None for what was not asked for. Raw units, the origin included."""

    embedding: Floats | None = None  # [B, K]
    cleaned: Doubles | None = None  # [B, G, C]; NaN where silent
    imputed: Doubles | None = None  # [B, G, C]; NaN where too little of the window was there
    uncertainty: Doubles | None = None  # [B, G, C] of what is filled; NaN where measured


NOTHING = Used()


class Uses:
    """Runs the uses of an artifact that were asked for. Raises ConfigError for one that its kind cannot serve."""

    def __init__(
        self, artifact: Artifact, asked: Collection[Use], device: Device = "cpu", full: Session | None = None
    ) -> None:
        """`full` is a session of full.onnx, where one is open."""
        check(artifact, asked)
        self.asked = frozenset(asked)
        self._slice = SLICE[device]
        self._artifact = artifact
        self._repairs = {"clean", "impute"} & self.asked
        self._origin = np.array([channel.origin for channel in artifact.manifest.channels])
        self.ticks = given_out(artifact.manifest.window)
        if not asked:
            return
        if self._repairs:
            self._session = full or Session(artifact.full, device, "full.onnx")
        else:
            self._session = Session(artifact.encoder, device, "encoder.onnx")
        self._names = ["reconstruction"] * bool(self._repairs) + ["embedding"] * ("embed" in self.asked)

    def of(self, windows: Windows) -> Used:
        """Use closed windows."""
        starts = range(0, max(len(windows), 1), self._slice)
        parts = [self._of(windows, slice(at, at + self._slice)) for at in starts]
        return Used(*(None if found[0] is None else np.concatenate(found) for found in zip(*parts, strict=True)))

    def prove(self, windows: Floats, profile: Floats) -> None:
        """Raise ArtifactError where, on this machine, what becomes of a window depends on those beside it."""
        inputs = {"windows": windows, "profile": profile}
        together, alone = (self._session.run(self._names, inputs, size) for size in (None, 1))
        if not all(np.array_equal(one, other, equal_nan=True) for one, other in zip(together, alone, strict=True)):
            raise ArtifactError(
                f"{self._artifact.label}: on this machine what is made of a window depends on the windows beside it, "
                "so a replay would not give the same; train it again here, or leave $.serving.uses out"
            )

    def _of(self, windows: Windows, rows: slice) -> Used:
        if not self.asked:
            return NOTHING
        values = windows.values[rows]
        profile = self._artifact.profiles.rows(windows.series[rows])
        inputs = {"windows": values, "profile": profile}
        ran = dict(zip(self._names, self._session.run(self._names, inputs), strict=True))
        cleaned = filled = None
        repair = self._artifact.repair
        if self._repairs and repair is not None:
            with np.errstate(over="ignore", invalid="ignore"):  # what float32 does not hold is null
                cleaned, filled = self._repaired(values, ran["reconstruction"], profile[:, 1], repair)
        return Used(ran.get("embedding"), cleaned, *(filled or (None, None)))

    def _repaired(self, values: Floats, rebuilt: Floats, scale: Floats, repair: Repair) -> tuple[Any, Any]:
        cleaned = filled = None
        if "clean" in self.asked:
            cleaned = self._raw(clean(values, rebuilt, scale, repair)[:, self.ticks])
        if "impute" in self.asked:
            found = fill(values, rebuilt, scale, repair)
            filled = self._raw(found.values[:, self.ticks]), rounded(found.uncertainty[:, self.ticks])
        return cleaned, filled

    def _raw(self, values: Floats) -> Doubles:
        return rounded(values, self._origin)


def check(artifact: Artifact, asked: Collection[Use]) -> None:
    """Raise ConfigError where an artifact cannot serve a use, with what can."""
    repair = artifact.repair
    if "embed" in asked and not artifact.encoder:
        raise ConfigError(f"{artifact.label} has no encoder.onnx, without which it cannot embed: train it again")
    if {"clean", "impute"} & set(asked) and repair is None:
        raise ConfigError(
            f"{artifact.label} has no repair.npz, without which it cannot clean or impute: train it again"
        )
    if "impute" in asked and not (repair and repair.fills):
        raise ConfigError(f"{artifact.label} cannot impute: it was never shown silence. Train {FILLING}")


def rounded(values: Floats, origin: Doubles | float = 0.0) -> Doubles:
    """Values and their origin, to the digits that float32 has: text would show more."""
    wide = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = DIGITS - 1 - np.floor(np.log10(np.abs(wide)))
        step = np.power(10.0, np.where(np.isfinite(digits), digits, 0.0))
        return np.asarray(np.rint((wide + origin) * step) / step, np.float64)
