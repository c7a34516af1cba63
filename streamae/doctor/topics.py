"""The topics of a service: whether they are there, fit, are kept for long enough, are safe, and may be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from streamae.config import Config
from streamae.doctor.finding import Finding
from streamae.serving.provision import faults
from streamae.serving.settings import Settings
from streamae.topics.topics import Standing, TopicSpec, TopicStore

KAFKA_RETENTION_MS = 7 * 86_400_000  # of a topic that does not say


def look_at_topics(config: Config, store: TopicStore) -> Iterator[Finding]:
    """Everything about them that a service depends on."""
    settings = Settings.of(config)
    found = faults(store, settings)
    yield from (Finding("fault", fault) for fault in found)
    readings = store.describe([settings.readings])[settings.readings]
    if readings is not None:
        if not found:
            yield Finding("ok", f"all topics are there, with {readings.partitions} partitions each")
        yield from _retention(config, readings)
    obstacles = store.obstacles(config.service, config.serving.instance)
    yield from (Finding("fault", obstacle) for obstacle in obstacles)
    yield from _standing(store, settings)


def _standing(store: TopicStore, settings: Settings) -> Iterator[Finding]:
    outputs = (settings.alerts, settings.scores, settings.deadletters, settings.state)
    standing = store.standing([settings.readings, *outputs])
    for name, one in standing.items():
        needed = {"READ"} if name == settings.readings else {"READ", "WRITE"} if name == settings.state else {"WRITE"}
        for operation in sorted(needed - one.allowed):
            yield Finding("fault", f"not allowed to {operation} {name}: give this user the permission")
        yield from _copies(name, one, name in outputs)


def _copies(name: str, one: Standing, written: bool) -> Iterator[Finding]:
    """Whether a topic outlives a broker."""
    if written and one.replicas < one.min_in_sync:
        yield Finding(
            "fault",
            f"{name} has {one.replicas} replicas, but nothing is written with fewer than {one.min_in_sync} in sync: "
            "add replicas, or lower its min.insync.replicas",
        )
    elif one.in_sync < one.replicas:
        state: Literal["warning", "fault"] = "fault" if written and one.in_sync < one.min_in_sync else "warning"
        yield Finding(
            state, f"{name}: only {one.in_sync} of {one.replicas} replicas are in sync: look after the brokers"
        )
    elif one.replicas == 1 and one.brokers > 1:
        yield Finding("warning", f"{name} has one replica: with its broker, all of it is lost; add replicas")
    elif written and one.replicas > 2 and one.min_in_sync == 1:
        yield Finding(
            "warning",
            f"{name}: with min.insync.replicas = 1, what was acknowledged can be lost with one broker; set it to 2",
        )


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
