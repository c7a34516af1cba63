"""Material: stored readings made ready for a job: channels, spans, profiles, and windows to draw from.

B windows, T ticks, C channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import torch

from streamae.config import Config
from streamae.detection.derived import Doubles, calendar_names, completed, mode_names
from streamae.detection.manifest import Channel, Manifest, Span, WindowSpec
from streamae.errors import ConfigError, DataError, some
from streamae.training.files import Table, moment
from streamae.training.fitting import FitWindows
from streamae.training.profiles import profiles
from streamae.training.series import LeftOut, Pool, Stretch, origins, spacing, spans, stretches, ticks, within

HELD_OUT = 0.1  # of the fit span: its tail, by which fitting is stopped
SHOWN = 10  # names in a note
MOST_MODES = 32  # of a channel
TOO_OFTEN, TOO_RARE = 2.0, 2.0  # readings to a tick, ticks to a reading
RESOLVED = 100  # steps of float32 that a channel's scale should span


@dataclass(frozen=True)
class Material:
    """What a job works on."""

    config: Config
    channels: tuple[Channel, ...]
    spans: dict[str, Span]
    everything: list[Stretch]
    calibrate: list[Stretch]
    left_out: tuple[LeftOut, ...]
    fit: FitWindows
    notes: tuple[str, ...]  # what a reader of the report should know

    @property
    def window(self) -> WindowSpec:
        """The windows that will be served."""
        return self.config.windows.spec()

    @property
    def scored(self) -> torch.Tensor:
        """Per channel [C]: 1, or 0 for context."""
        return torch.tensor([float(channel.scored) for channel in self.channels])


def prepare(config: Config, table: Table, left_out: Sequence[LeftOut] = (), parent: Manifest | None = None) -> Material:
    """Put stored readings on the grid, split them by time, and take profiles from the fit span.

    Raises ConfigError for channels that are not there, DataError where there is too little to learn from.
    """
    window, min_observed = config.windows.spec(), config.episodes.min_observed
    span = spans(table, config.training.spans, window)
    channels = _channels(config, table, span["fit"], parent)
    everything = of_channels(table, channels, window)
    fit = within(everything, span["fit"], window, left_out)
    calibrate = within(everything, span["calibrate"], window, left_out)
    _check_there(table, span, {"fit": fit, "calibrate": calibrate})
    held_out_from = span["fit"].end - int(HELD_OUT * (span["fit"].end - span["fit"].start))
    tail, rest = Span(start=held_out_from, end=span["fit"].end), Span(start=span["fit"].start, end=held_out_from)
    known = profiles(fit, window.length, channels, config.training.ranges)
    every = msgspec.structs.replace(window, stride=1)
    learn, held_out = (Pool(within(fit, part, window), known.series, every, min_observed) for part in (rest, tail))
    if not len(learn):
        raise DataError(
            f"the fit span, {_from_to(span['fit'])}, holds no window of {window.length} ticks of which "
            f"{min_observed:.0%} was observed: a tick is {window.cadence_ms / 1000:g} s, and a series has a reading "
            f"each {spacing(table) / 1000:g} s; set $.windows.cadence_s by that, shorten $.windows.length, "
            "look for a clock that was wrong, or leave less out"
        )
    windows = FitWindows(learn, held_out if len(held_out) else learn, known)
    whole = ticks(within(everything, span["fit"], window))
    notes = [*_notes(table, span, channels, windows), *_time_notes(table, window, whole, ticks(fit))]
    return Material(config, channels, span, everything, calibrate, tuple(left_out), windows, tuple(notes))


def all_spans(material: Material) -> FitWindows:
    """The windows of fit, calibrate and judge together, none held out; what was left out stays out."""
    config, window = material.config, material.window
    whole = Span(start=material.spans["fit"].start, end=max(span.end for span in material.spans.values()))
    parts = within(material.everything, whole, window, material.left_out)
    known = profiles(parts, window.length, material.channels, config.training.ranges)
    pool = Pool(parts, known.series, msgspec.structs.replace(window, stride=1), config.episodes.min_observed)
    return FitWindows(pool, pool, known)


def of_channels(table: Table, channels: Sequence[Channel], window: WindowSpec) -> list[Stretch]:
    """All ticks of all series for the channels of a model, of which the table holds those that are measured."""
    values = completed([channel.name for channel in channels], table.time, table.values)
    parts = stretches(replace(table, values=values), [channel.origin for channel in channels], window)
    return [replace(part, measured=table.values.shape[1]) for part in parts]


def _channels(config: Config, table: Table, fit: Span, parent: Manifest | None) -> tuple[Channel, ...]:
    names = list(config.readings.channels)
    context = {*config.training.context, *config.training.modes}
    if context >= set(names):
        raise ConfigError("$.training.context: names every channel; leave at least one to be scored")
    origin = dict(zip(names, origins(table, fit), strict=True))
    origin |= {channel.name: channel.origin for channel in parent.channels} if parent else {}
    measured = tuple(Channel(name=name, origin=origin[name], scored=name not in context) for name in names)
    derived = calendar_names(config.training.calendar)
    for name in config.training.modes:
        derived += mode_names(name, _modes(name, table.between(fit.start, fit.end).values[:, names.index(name)]))
    return measured + tuple(Channel(name=name, scored=False) for name in derived)


def _modes(channel: str, values: Doubles) -> list[float]:
    """The values that a channel takes. Raises DataError where these are no modes."""
    found = np.unique(values[np.isfinite(values)])
    if not 0 < len(found) <= MOST_MODES or (found != np.round(found)).any():
        shown = ", ".join(f"{one:g}" for one in found[:SHOWN])
        raise DataError(
            f"$.training.modes: {channel} takes {len(found)} values in the fit span ({shown or 'it is silent'}), and "
            f"modes are 1 to {MOST_MODES} whole numbers; name it in $.training.context, as a number"
        )
    return [float(one) + 0.0 for one in found]  # no -0


def _check_there(table: Table, span: dict[str, Span], parts: dict[str, list[Stretch]]) -> None:
    """Raise DataError where nothing of a span is there, or left."""
    for name, found in parts.items():
        if not found:
            there = Span(start=int(table.time.min()), end=int(table.time.max()))
            raise DataError(
                f"no reading to {name} on: of the readings, {_from_to(there)}, the span {name} is "
                f"{_from_to(span[name])}, and all of that is silent or left out; "
                "look for a clock that was wrong, give other $.training.spans, or leave less out: with "
                "$.training.leave_out_alerts = false, what was alerted on is learnt from"
            )


def _from_to(span: Span) -> str:
    return f"{moment(span.start)} to {moment(span.end)}"


def _time_notes(table: Table, window: WindowSpec, whole: Counter[str], kept: Counter[str]) -> Iterator[str]:
    """What is odd about the times: of each series, ticks of the fit span before and after times were left out."""
    tick, apart = window.cadence_ms / 1000, spacing(table) / 1000
    if apart * TOO_OFTEN <= tick:
        yield f"of about {tick / apart:.0f} readings a tick of {tick:g} s only the last counts: see $.windows.cadence_s"
    if apart >= TOO_RARE * tick:
        yield f"most ticks are silent: a tick is {tick:g} s, a reading comes each {apart:g} s: see $.windows.cadence_s"
    lost = [f"{name} ({1 - kept[name] / whole[name]:.0%})" for name in sorted(whole) if kept[name] < whole[name] / 2]
    if lost:
        yield (
            f"more than half of the fit span is left out of {some(lost, SHOWN)}. If that is normal from now on, "
            "train with $.training.leave_out_alerts = false; if not, on a time before it, by --since and --until"
        )


def _notes(table: Table, span: dict[str, Span], channels: Sequence[Channel], windows: FitWindows) -> Iterator[str]:
    """What is odd about the material."""
    if "judge" not in span:
        yield "no judge span: what is left after fit and calibrate is too short, so nothing here was judged"
    known = windows.profiles
    strangers = sorted(set(table.names) - set(known.series))
    if strangers:
        yield f"too short on the fit span, so the fleet's profile holds: {some(strangers, SHOWN)}"
    with np.errstate(all="ignore"):
        level = np.nanmax(abs(known.table[:, 0]), axis=0)  # [C]
    for channel, far, scale in zip(channels, level, known.table[:, 1].min(axis=0), strict=True):
        if np.spacing(np.float32(far)) * RESOLVED > scale:
            yield f"{channel.name}: levels differ so much between series that float32 blurs what the channel does"
