"""Doctor: whether a service can do its work here, and what to do where it cannot. It changes nothing."""

from __future__ import annotations

import platform
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from streamae.config import Config
from streamae.detection.artifact import Channel
from streamae.detection.json_records import JsonDecoder
from streamae.detection.readings import Decoded, RecordColumns
from streamae.detection.scoring import Scorer, runtime
from streamae.errors import StreamaeError
from streamae.registry import Registry
from streamae.serving.provision import faults
from streamae.serving.settings import Settings
from streamae.topics import open_store
from streamae.topics.topics import TopicSpec, TopicStore

SAMPLE = 2000  # records of the readings topic that are looked at
SAMPLE_S = 10.0  # and for how long at the most
KAFKA_RETENTION_MS = 7 * 86_400_000  # of a topic that does not say


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: Literal["ok", "warning", "fault"]
    what: str


def explain(config: Config) -> list[str]:
    """What a service with this config will do, in sentences; nothing is reached for."""
    spec, lateness = config.windows.spec(), config.windows.lateness()
    policy, training = config.episodes.policy(config.windows), config.training
    source = "the record's key" if config.readings.series_from == "key" else config.readings.series_from
    newest = f"the newest {training.topic_days:g} days of {config.topics.readings}" if training.topic_days else ""
    trained_on = ", ".join(training.files) or newest or "no files yet"
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
        f"publishes to {config.topic('alerts')} (and .deadletters, .state; scores: {config.serving.scores})",
        f"trains a {training.autoencoder} autoencoder on {trained_on}: the first "
        f"{training.spans.fit:.0%} of the time fits it, the next {training.spans.calibrate:.0%} sets thresholds for "
        f"{training.budget_per_week:g} false episodes per series and week, the rest judges it",
        f"keeps versions of {config.model} in {config.registry}",
    ]


def examine(config: Config) -> Iterator[Finding]:
    """Everything that a service with this config depends on, looked at for real."""
    registry = Registry(config.registry)
    yield from _guarded(lambda: _runtime(config))
    yield from _guarded(lambda: _registry(config, registry))
    try:
        with open_store(config.topics.store, **config.topics.client) as store:
            yield Finding("ok", f"reached {store.about()}")
            yield from _guarded(lambda: _topics(config, store))
            yield from _guarded(lambda: _sample(config, store))
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
    offered = ort.get_available_providers()
    if config.serving.device == "cuda" and "CUDAExecutionProvider" not in offered:
        yield Finding("fault", f"$.serving.device is cuda, but the runtime offers only {', '.join(offered)}")


def _registry(config: Config, registry: Registry) -> Iterator[Finding]:
    version = registry.champion(config.model)
    if version is None:
        yield Finding("warning", f"{config.model} has no champion in {config.registry}: run `streamae train`")
        return
    artifact = registry.load(config.model, version)
    Scorer(artifact, config.serving.device).prove()
    yield Finding("ok", f"{config.model} {version} loads and reproduces its golden windows on {config.serving.device}")
    known = [channel.name for channel in artifact.manifest.channels]
    unmapped = [name for name in known if name not in config.readings.channels]
    if unmapped:
        yield Finding("fault", f"$.readings.channels: {version} needs {', '.join(unmapped)}, which no path gives")
    if artifact.manifest.window != config.windows.spec():
        yield Finding("warning", f"$.windows differs from the windows of {version}, which are the ones that serve")


def _topics(config: Config, store: TopicStore) -> Iterator[Finding]:
    settings = Settings.of(config)
    found = faults(store, settings)
    yield from (Finding("fault", fault) for fault in found)
    readings = store.describe([settings.readings])[settings.readings]
    if readings is not None:
        if not found:
            yield Finding("ok", f"all topics are there, with {readings.partitions} partitions each")
        yield from _retention(config, readings)


def _retention(config: Config, readings: TopicSpec) -> Iterator[Finding]:
    lateness = config.windows.lateness()
    needed = config.windows.spec().length_ms + lateness.lateness_ms + lateness.max_lag_ms
    kept = int(readings.settings.get("retention.ms", KAFKA_RETENTION_MS))
    if 0 <= kept <= needed:
        yield Finding(
            "fault",
            f"{readings.name} keeps records for {kept / 1000:g} s, but open windows reach back {needed / 1000:g} s: "
            "a restart could not fill them again; raise its retention.ms",
        )
    if "compact" in readings.settings.get("cleanup.policy", "delete"):
        yield Finding(
            "fault", f"{readings.name} is compacted: readings of open windows vanish; use cleanup.policy=delete"
        )


def _sample(config: Config, store: TopicStore) -> Iterator[Finding]:
    """Decode some records as the service would, with a champion or without."""
    settings = Settings.of(config)
    if store.describe([settings.readings])[settings.readings] is None:
        return
    version = Registry(config.registry).champion(config.model)
    channels = tuple(Channel(name=name) for name in config.readings.channels)
    if version is not None:
        channels = Registry(config.registry).load(config.model, version).manifest.channels
    decoder, sample = JsonDecoder(settings.mapping, channels), Sample()
    reader = store.reader(settings.readings, "earliest")
    try:
        until = time.monotonic() + SAMPLE_S
        while sample.seen < SAMPLE and not reader.caught_up() and time.monotonic() < until:
            for records in reader.poll(0.2):
                columns = RecordColumns(records.offset, records.timestamp, records.key, records.value)
                sample.take(decoder.decode(columns), len(records), records.partition)
    finally:
        reader.close()
    yield from _judge_sample(sample, [channel.name for channel in channels])
    if any(f"got `str` - at `{config.readings.time}`" in detail for detail in sample.details.values()):
        yield Finding("fault", f'{config.readings.time} holds text: should $.readings.time_unit be "iso8601"?')


class Sample:
    """What was seen in some records."""

    def __init__(self) -> None:
        self.seen = 0
        self.dead = Counter[str]()  # by reason
        self.details: dict[str, str] = {}  # of the first dead letter of each reason
        self.partitions: dict[str, set[int]] = defaultdict(set)  # of each series
        self.there: set[int] = set()  # channels with a value, by their place

    def take(self, decoded: Decoded, records: int, partition: int) -> None:
        """Take in what became of so many records of a partition."""
        self.seen += records
        for letter in decoded.dead:
            self.dead[letter.reason.value] += 1
            self.details.setdefault(letter.reason.value, letter.detail)
        for name in decoded.readings.names:
            self.partitions[name].add(partition)
        self.there.update(np.flatnonzero(~np.isnan(decoded.exact).all(axis=0)).tolist())


def _judge_sample(sample: Sample, channels: list[str]) -> Iterator[Finding]:
    if not sample.seen:
        yield Finding("warning", "there are no readings yet")
        return
    dead = sample.dead.total()
    state: Literal["ok", "warning", "fault"] = "ok" if not dead else "warning" if dead < sample.seen / 2 else "fault"
    why = "; ".join(f"{count} {reason}, as: {sample.details[reason]}" for reason, count in sample.dead.most_common())
    yield Finding(state, f"of {sample.seen} sampled records {dead} would be dead letters" + (f": {why}" if why else ""))
    silent = [name for at, name in enumerate(channels) if at not in sample.there]
    if silent and sample.partitions:
        yield Finding("fault", f"no sampled record has {', '.join(silent)}: correct their paths in $.readings.channels")
    if not sample.partitions and dead < sample.seen:
        yield Finding("fault", "no sampled record is of a series that $.readings.series selects")
    torn = sorted(name for name, where in sample.partitions.items() if len(where) > 1)
    if torn:
        yield Finding("fault", f"series in more than one partition: {', '.join(torn[:5])}; key records by series")


def _duration(ms: float) -> str:
    """A duration in the largest unit of which there is one whole."""
    for unit, size in (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000)):
        if ms >= 2 * size:
            return f"{ms / size:.4g} {unit}"
    return f"{ms / 1000:g} s"
