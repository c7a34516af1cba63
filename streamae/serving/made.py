"""What the service makes of windows beside scores, as records: codes, cleaned readings, filled gaps.

One JSON record a window, on the partition that it came from, keyed by series. B windows, G ticks that are given out,
C channels, K numbers of a code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np

from streamae.detection.detector import Detected
from streamae.detection.manifest import Manifest
from streamae.detection.repairing import given_out
from streamae.detection.uses import Doubles, Use
from streamae.topics.topics import Output

TOPICS: dict[Use, str] = {"embed": "embeddings", "clean": "cleaned", "impute": "imputed"}


class Destination(NamedTuple):
    """Where records go, and by which version they were made."""

    topics: dict[Use, str]
    partition: int
    manifest: Manifest
    min_observed: float  # of a window, below which it has no code


def made_outputs(place: Destination, detected: Detected) -> list[Output]:
    """What was asked for, of each window in turn."""
    used, windows = detected.used, detected.windows
    outputs: list[Output] = []
    if used.embedding is not None:
        outputs += _embedded(place, detected, np.flatnonzero(windows.observed >= place.min_observed))
    if used.cleaned is not None:
        there = np.flatnonzero(~np.isnan(used.cleaned).all(axis=(1, 2)))
        cleaned = _by_channel(used.cleaned[there], place.manifest)
        outputs += _stretches(place, "clean", detected, there, cleaned)
    if used.imputed is not None and used.uncertainty is not None:
        there = np.flatnonzero(~np.isnan(used.imputed).all(axis=(1, 2)))
        filled = _filled(used.imputed[there], used.uncertainty[there], place.manifest)
        outputs += _stretches(place, "impute", detected, there, filled)
    return outputs


def _embedded(place: Destination, detected: Detected, rows: Any) -> list[Output]:
    windows, codes = detected.windows, detected.used.embedding
    assert codes is not None  # noqa: S101
    columns = (windows.start[rows], windows.end[rows], windows.observed[rows], codes[rows].astype(np.float64))
    outputs = []
    for row, start, end, observed, code in zip(rows.tolist(), *(one.tolist() for one in columns), strict=True):
        said = {"start": start, "end": end, "observed": observed, "embedding": code}
        outputs.append(_output(place, "embed", windows.series[row], said))
    return outputs


def _stretches(place: Destination, use: Use, detected: Detected, rows: Any, channels: list[Any]) -> list[Output]:
    """The stretch of ticks that each window gives out."""
    windows, spec = detected.windows, place.manifest.window
    start = windows.start[rows] + given_out(spec).start * spec.cadence_ms
    length = spec.stride * spec.cadence_ms
    outputs = []
    for row, first, values in zip(rows.tolist(), start.tolist(), channels, strict=True):
        said = {"start": first, "end": first + length, "cadence_ms": spec.cadence_ms, "channels": values}
        outputs.append(_output(place, use, windows.series[row], said))
    return outputs


def _by_channel(values: Doubles, manifest: Manifest) -> list[dict[str, list[float | None]]]:
    """By window, the values of each channel; NaN becomes null."""
    names = manifest.measured
    return [dict(zip(names, one, strict=True)) for one in values[:, :, : len(names)].swapaxes(1, 2).tolist()]


def _filled(values: Doubles, uncertainty: Doubles, manifest: Manifest) -> list[dict[str, Any]]:
    """By window, the values of each channel, which of them are filled in, and how sure each of those is."""
    names = manifest.measured
    found = []
    columns = (one[:, :, : len(names)].swapaxes(1, 2).tolist() for one in (values, uncertainty))
    for of_window, sure_of_window in zip(*columns, strict=True):
        channels = {}
        for name, one, sure in zip(names, of_window, sure_of_window, strict=True):
            filled = [at for at, spread in enumerate(sure) if spread == spread]  # not NaN
            channels[name] = {"values": one, "filled": filled, "uncertainty": [sure[at] for at in filled]}
        found.append(channels)
    return found


def _output(place: Destination, use: Use, series: str, said: dict[str, Any]) -> Output:
    record = {"series": series, "version": place.manifest.version, **said}
    return Output(place.topics[use], series.encode(), msgspec.json.encode(record), place.partition)
