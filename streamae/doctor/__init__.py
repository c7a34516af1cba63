"""Doctor: whether a service can do its work here, and what to do where it cannot. It changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from streamae.config import Config
from streamae.detection.runtime import GPU, runtime
from streamae.detection.scoring import Scorer
from streamae.doctor.finding import Finding, State
from streamae.doctor.sample import look_at_readings
from streamae.doctor.topics import look_at_topics
from streamae.errors import StreamaeError
from streamae.registry import Registry
from streamae.serving.made import TOPICS
from streamae.topics import open_store

__all__ = ["Finding", "examine", "explain"]

LITTLE, TOO_LITTLE = 2**30, 100 * 2**20  # bytes of free space


def explain(config: Config) -> list[str]:
    """What a service with this config will do, in sentences; nothing is reached for."""
    spec, lateness = config.windows.spec(), config.windows.lateness()
    policy, training = config.episodes.policy(config.windows), config.training
    source = "the record's key" if config.readings.series_from == "key" else config.readings.series_from
    newest = f"the newest {training.topic_days:g} days of {config.topics.readings}" if training.topic_days else ""
    made = "".join(f"; {use}: {config.topic(TOPICS[use])}" for use in config.serving.uses)
    trained_on = ", ".join(training.files) or newest or "no files yet"
    told = [*training.context, *(f"the modes of {name}" for name in training.modes)]
    told += [f"the time in the {period}" for period in training.calendar]
    return [
        f"reads {config.topics.readings} at {config.topics.store}; each record is a {config.readings.layout} "
        f"{config.readings.codec} reading of the series in {source}, at the time in {config.readings.time} "
        f"({config.readings.time_unit})",
        f"selects the series {config.readings.series} with the channels {', '.join(config.readings.channels)}",
        f"scores windows of {spec.length} ticks ({_duration(spec.length_ms)}), a new one every {spec.stride} "
        f"({_duration(spec.stride * spec.cadence_ms)}); a window closes {_duration(lateness.lateness_ms)} after its "
        f"end, or when the partition is {_duration(lateness.max_lag_ms)} past it",
        f"fires after {policy.fire_after} anomalous windows in a row, resolves after {policy.resolve_after} calm ones, "
        f"or after {_duration(policy.expire_after_ms)} of silence; windows with less than {policy.min_observed:.0%} of "
        "their values count neither way",
        f"publishes to {config.topic('alerts')} (and .deadletters, .state; scores: {config.serving.scores}{made})",
        f"trains a {training.autoencoder} autoencoder on {trained_on}: the first "
        f"{training.spans.fit:.0%} of the time fits it, the next {training.spans.calibrate:.0%} sets thresholds for "
        f"{training.budget_per_week:g} false episodes per series and week, the rest judges it"
        + (f"; it is told {', '.join(told)}, which are not scored" if told else ""),
        f"keeps versions of {config.model} in {config.registry}",
    ]


def examine(config: Config) -> Iterator[Finding]:
    """Everything that a service with this config depends on, looked at for real."""
    registry = Registry(config.registry)
    yield from _guarded(lambda: _runtime(config))
    yield from _disks(config)
    yield from _guarded(lambda: _registry(config, registry))
    try:
        with open_store(config.topics.store, **config.topics.client) as store:
            yield Finding("ok", f"reached {store.about()}")
            yield from _guarded(lambda: look_at_topics(config, store))
            yield from _guarded(lambda: look_at_readings(config, store))
    except StreamaeError as error:
        yield Finding("fault", str(error))


def _guarded(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except StreamaeError as error:
        yield Finding("fault", str(error))


def _runtime(config: Config) -> Iterator[Finding]:
    ort = runtime()
    yield Finding("ok", f"ONNX Runtime {ort.__version__} on Python {platform.python_version()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("ok", f"{cores} CPU cores; a service uses one, further ones take instances of their own")
    offered = ort.get_available_providers()
    if config.serving.device == "cuda" and GPU not in offered:
        yield Finding("fault", f"$.serving.device is cuda, but the runtime offers only {', '.join(offered)}")


def _disks(config: Config) -> Iterator[Finding]:
    places = {"the registry": Path(config.registry)}
    if config.topics.store.startswith("embedded://"):
        places["the store"] = Path(config.topics.store.removeprefix("embedded://")).parent
    for what, folder in places.items():
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        free = shutil.disk_usage(there).free
        state: State = "fault" if free < TOO_LITTLE else "warning" if free < LITTLE else "ok"
        advice = "" if state == "ok" else ": make room before it is full, for then nothing can be committed"
        yield Finding(state, f"{free / 2**30:.1f} GiB are free for {what} in {folder}{advice}")
        if not os.access(there, os.W_OK):
            yield Finding("fault", f"{there} cannot be written to: give this user the permission")


def _registry(config: Config, registry: Registry) -> Iterator[Finding]:
    version = registry.champion(config.model)
    if version is None:
        yield Finding("warning", f"{config.model} has no champion in {config.registry}: run `streamae train`")
        return
    artifact = registry.load(config.model, version)
    Scorer(artifact, config.serving.device, config.serving.uses).prove()
    yield Finding("ok", f"{config.model} {version} loads and reproduces its golden windows on {config.serving.device}")
    unmapped = [name for name in artifact.manifest.measured if name not in config.readings.channels]
    if unmapped:
        yield Finding("fault", f"$.readings.channels: {version} needs {', '.join(unmapped)}, which no path gives")
    if artifact.manifest.window != config.windows.spec():
        yield Finding("warning", f"$.windows differs from the windows of {version}, which are the ones that serve")


def _duration(ms: float) -> str:
    """A duration in the largest unit of which there is one whole."""
    for unit, size in (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000)):
        if ms >= 2 * size:
            return f"{ms / size:.4g} {unit}"
    return f"{ms / 1000:g} s"
