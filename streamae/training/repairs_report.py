"""What cleaning and filling gain, in words: beside what one would take in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CALLED = {"pca": "PCA of the same size", "wiener": "a Wiener filter without a model", "linear": "a straight line"}
CALLED |= {"last value": "the last value", "moving average": "a moving average"}


def said_of(use: str, report: Mapping[str, Any]) -> list[str]:
    """What a report has measured of a use on the calibrate span, and what did better; nothing where it has not."""
    found = report.get("uses") or {}
    measured = {name: value for name, value in (found.get(use) or {}).items() if value is not None}
    if "model" not in measured:
        return []
    own = measured.pop("model")
    others = ", ".join(f"{CALLED[name]} {value:g}" for name, value in measured.items())
    if use == "clean":
        said = f"on the calibrate span it takes {own:g} dB of noise of {found['noise']:g} scales away; {others}"
        best = max(measured, key=lambda name: measured[name], default=None)
        better = best is not None and measured[best] > own
    else:
        said = f"on the calibrate span what it fills is {own:g} scales off; {others}"
        best = min(measured, key=lambda name: measured[name], default=None)
        better = best is not None and measured[best] < own
    return [f"{said}. Here {CALLED[best]} does better" if better and best else said]
