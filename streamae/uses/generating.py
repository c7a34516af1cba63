"""Generating: series of any length from samples of a code, joined without seams.

A decoded window shows its newest ticks finely; these are laid down one after the other, half over half. Of many
samples, each time the one is taken whose older ticks fit best to what is there already, and the two are faded over
(Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer", 2001, in time). What a model leaves over of
real windows is then added, as noise of the same spread and correlation.

N samples, T ticks of a window, F of them that are shown finely, L ticks that are asked for, C channels, K numbers of a
code, Q context channels, of which M are measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from streamae.detection.artifact import Artifact
from streamae.detection.coding import Decoder, Encoder
from streamae.detection.derived import derive, modes_of
from streamae.errors import ConfigError, DataError
from streamae.history.stored import Cuts, Stored
from streamae.training.files import Table

SAMPLES = 128  # of which one is taken
FINE = 32  # ticks of a window that are shown one by one
OLDER = 0.25  # how much a tick counts that is older than those that are faded over
AROUND = 0.4  # how far samples lie from the way between two windows: 0 is on it, 1 anywhere
BEYOND = 0.1  # of a condition's range, by which it may be left

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class Wish(NamedTuple):
    """What is to be generated."""

    ticks: int  # L
    series: str = ""  # whose profile it has; "" is the fleet's
    seed: int = 0
    conditions: Doubles | None = None  # [L, M] raw values of the M context channels that are measured
    start: int = 0  # event time of the first tick, ms: what the calendar is of
    between: tuple[Floats, Floats] | None = None  # two windows [T, C] less the origin: from like one to like the other


def newest_window(artifact: Artifact, table: Table) -> Floats:
    """The newest window of stored readings [T, C], less the origin. Raises DataError where there is nothing in them."""
    stored = Stored.of(table, artifact.manifest)
    last = stored.names[stored.series[-1]]
    return Cuts(stored).window(last, stored.end - artifact.manifest.window.length_ms)


def generate(artifact: Artifact, wish: Wish, decoder: Decoder | None = None) -> Doubles:
    """A series [L, measured channels] in raw units, by a decoder that is open where one is. Wishes decide all of it.

    Raises ConfigError for a model whose code cannot be sampled and for wishes that do not fit it, DataError for
    conditions out of the range that it was trained on.
    """
    decoder = decoder or Decoder(artifact)
    check(artifact, wish, decoder)
    manifest = artifact.manifest
    draw = np.random.default_rng(wish.seed)
    profile = artifact.profiles.rows([wish.series])[0]
    quilt = Quilt(decoder, profile, manifest.window.length, wish.ticks, draw)
    context = (
        _context(artifact, wish, quilt) if decoder.conditional else repeat(np.empty((quilt.length, 0), np.float32))
    )
    for centre, given in zip(_way(artifact, wish, quilt, decoder.size), context, strict=False):
        quilt.lay(centre, given)
    found = quilt.series[: wish.ticks] + _rest(artifact, profile, wish.ticks, draw)
    raw: Doubles = found.astype(np.float64) + np.array([channel.origin for channel in manifest.channels])
    if wish.conditions is not None:
        raw[:, [at for at, name in enumerate(manifest.names) if name in artifact.manifest.conditions]] = wish.conditions
    return raw[:, : len(manifest.measured)]


def check(artifact: Artifact, wish: Wish, decoder: Decoder) -> None:
    """Raise ConfigError or DataError where a wish does not fit the model."""
    window, known = artifact.manifest.window, artifact.profiles.series
    if wish.ticks < window.length:
        raise ConfigError(f"{wish.ticks} ticks are shorter than a window of {artifact.label}: at least {window.length}")
    if wish.series and wish.series not in known:
        raise ConfigError(f"{artifact.label} has no profile of {wish.series!r}; it knows {', '.join(known[:10])}")
    names = artifact.manifest.conditions if decoder.conditional else ()
    if bool(names) != (wish.conditions is not None):
        raise ConfigError(
            f"{artifact.label} generates by conditions: give the context channels, a value a tick"
            if names
            else f"{artifact.label} obeys the calendar alone: leave conditions out, and say at which time it starts"
            if decoder.conditional
            else f"{artifact.label} knows no conditions: leave them out, or train the objective `conditional`"
        )
    if wish.conditions is not None:
        _check_range(artifact, wish.conditions, wish.ticks)


def _check_range(artifact: Artifact, conditions: Doubles, ticks: int) -> None:
    names = artifact.manifest.conditions
    if conditions.shape != (ticks, len(names)):
        raise DataError(f"conditions are {conditions.shape}, not {ticks} ticks of {', '.join(names)}")
    for name, modes in modes_of(artifact.manifest.names).items():
        values = conditions[:, names.index(name)]
        strange = values[~np.isin(values, modes)]
        if len(strange):
            raise DataError(
                f"the condition {name} is {strange[0]:g} somewhere, and {artifact.label} was trained on the modes "
                f"{', '.join(f'{mode:g}' for mode in modes)}"
            )
    ranges = artifact.manifest.report.get("conditions", {})
    for name, values in zip(names, conditions.T, strict=True):
        low, high = ranges.get(name, (-np.inf, np.inf))
        room = BEYOND * (high - low) if np.isfinite(high - low) else np.inf
        if not (values.min() >= low - room and values.max() <= high + room):
            raise DataError(
                f"the condition {name} goes from {values.min():g} to {values.max():g}, but {artifact.label} was "
                f"trained on {low:g} to {high:g}: what it makes beyond that means nothing"
            )


class Quilt:
    """A series of so many ticks in the making, less the origin."""

    def __init__(self, decoder: Decoder, profile: Floats, length: int, ticks: int, draw: np.random.Generator) -> None:
        self._decoder, self._profile, self._draw = decoder, profile, draw
        self.length = length
        self.fine = min(FINE, length)
        self.step = max(self.fine // 2, 1)
        self.pieces = 1 + -(-max(ticks - self.fine, 0) // self.step)  # windows that are laid down
        self.series = np.empty((self.fine + (self.pieces - 1) * self.step, profile.shape[1]), np.float32)  # [.., C]
        self._there = 0  # ticks of it

    def lay(self, centre: Floats | None, context: Floats) -> None:
        """Add the sample that fits best: of the prior, or around a code [K]; given the context [T, Q]."""
        codes = self._draw.normal(size=(SAMPLES, self._decoder.size)).astype(np.float32)
        if centre is not None:
            codes = (np.sqrt(1 - AROUND**2) * centre + AROUND * codes).astype(np.float32)
        profile = np.broadcast_to(self._profile, (SAMPLES, *self._profile.shape))
        given = np.broadcast_to(context, (SAMPLES, *context.shape))
        windows = self._decoder.decode(codes, profile, given)
        if not self._there:
            self.series[: self.fine] = windows[0, -self.fine :]
            self._there = self.fine
            return
        chosen = windows[int(np.argmin(self._misfits(windows)))]
        over = slice(self._there - self.fine + self.step, self._there)
        fade = (np.arange(1, over.stop - over.start + 1) / (over.stop - over.start + 1)).astype(np.float32)[:, None]
        self.series[over] = (1 - fade) * self.series[over] + fade * chosen[-self.fine : -self.step]
        self.series[self._there : self._there + self.step] = chosen[-self.step :]
        self._there += self.step

    def _misfits(self, windows: Floats) -> Doubles:
        """How far the older ticks of each window [N] are off what is there already, in scales."""
        older = windows[:, : -self.step]
        known = self.series[max(self._there - older.shape[1], 0) : self._there]
        off = (older[:, -len(known) :] - known) / self._profile[1]
        weight = np.full(len(known), OLDER)
        weight[-(self.fine - self.step) :] = 1
        return np.asarray((off.astype(np.float64) ** 2).mean(axis=2) @ weight)


def _way(artifact: Artifact, wish: Wish, quilt: Quilt, size: int) -> Iterator[Floats | None]:
    """For each piece the code [K] around which is sampled; None where that is the whole prior."""
    pieces = quilt.pieces
    if wish.between is None:
        yield from [None] * pieces
        return
    profile = np.broadcast_to(artifact.profiles.rows([wish.series]), (2, *artifact.profiles.table.shape[1:]))
    first, last = Encoder(artifact).embed(np.stack(wish.between), np.ascontiguousarray(profile))
    for share in np.linspace(0, 1, pieces):
        yield slerp(first, last, float(share))


def slerp(first: Floats, last: Floats, share: float) -> Floats:
    """A code on the way between two [K], on the sphere on which most of the prior lies (Shoemake, 1985)."""
    lengths = np.linalg.norm(first), np.linalg.norm(last)
    cosine = np.clip(first @ last / max(float(lengths[0] * lengths[1]), 1e-12), -1, 1)
    angle = float(np.arccos(cosine))
    if np.sin(angle) < 1e-6:
        return np.asarray((1 - share) * first + share * last, np.float32)
    parts = np.sin((1 - share) * angle) * first + np.sin(share * angle) * last
    return np.asarray(parts / np.sin(angle), np.float32)


def _context(artifact: Artifact, wish: Wish, quilt: Quilt) -> Iterator[Floats]:
    """The conditions of each piece's window [T, Q], less the origin; before the first tick, as at the first."""
    context, length = artifact.manifest.context, quilt.length
    ends = [quilt.fine + piece * quilt.step for piece in range(quilt.pieces)]
    ticks = np.arange(-length, max(ends[-1], wish.ticks))
    known = np.empty((wish.ticks, 0)) if wish.conditions is None else wish.conditions
    given = known[np.clip(ticks, 0, wish.ticks - 1)]
    derived = [channel.name for channel in context if channel.derived]
    time = wish.start + ticks * artifact.manifest.window.cadence_ms
    given = np.hstack([given, derive(derived, time, artifact.manifest.conditions, given)])
    less = (given - np.array([channel.origin for channel in context])).astype(np.float32)
    for end in ends:
        yield less[end : end + length]


def _rest(artifact: Artifact, profile: Floats, ticks: int, draw: np.random.Generator) -> Floats:
    """What a model leaves over of real windows [L, C]: noise of its spread and its correlation from tick to tick."""
    if artifact.repair is None:
        return np.zeros((ticks, profile.shape[1]), np.float32)
    spread, along, _ = artifact.repair.rest
    fresh = draw.normal(size=(ticks, profile.shape[1])) * np.sqrt(1 - along.astype(np.float64) ** 2)
    fresh[0] = draw.normal(size=profile.shape[1])
    noise = [signal.lfilter([1.0], [1.0, -step], column) for step, column in zip(along, fresh.T, strict=True)]
    return np.asarray(np.stack(noise, axis=1) * spread * profile[1], np.float32)
