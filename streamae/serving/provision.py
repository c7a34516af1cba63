"""The topics that a service needs: as they should be, and what is wrong with those that are there."""

from __future__ import annotations

from streamae.errors import TopicsChanged
from streamae.serving.settings import Settings
from streamae.topics.topics import TopicSpec, TopicStore

DAY_MS = 86_400_000


def outputs(settings: Settings, partitions: int) -> list[TopicSpec]:
    """The service's own topics. `.state` keeps the newest record of each partition for ever."""
    kept = {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS)}
    short = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}
    return [
        TopicSpec(settings.alerts, partitions, kept),
        TopicSpec(settings.scores, partitions, short),
        TopicSpec(settings.deadletters, partitions, kept),
        *(TopicSpec(name, partitions, short) for name in settings.made.values()),
        TopicSpec(settings.state, partitions, {"cleanup.policy": "compact"}),
    ]


def provide(store: TopicStore, settings: Settings) -> None:
    """Create the output topics that are not there, with the input's partition count."""
    readings = store.describe([settings.readings])[settings.readings]
    if readings is not None:
        store.create(outputs(settings, readings.partitions))


class Outputs:
    """Whether the service's own topics still fit, once the readings have got another partition."""

    def __init__(self, store: TopicStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._partitions = 0  # that are known to fit

    def check(self, partition: int) -> None:
        """Raise TopicsChanged where outputs of this partition would have no place."""
        if partition < self._partitions:
            return
        found, readings = faults(self._store, self._settings), self._settings.readings
        described = self._store.describe([readings])[readings]
        if found or described is None:
            raise TopicsChanged("; ".join(found) or f"the topic {readings} is gone")
        self._partitions = described.partitions


def faults(store: TopicStore, settings: Settings) -> list[str]:
    """What keeps the service from starting: missing topics and wrong partition counts, each with its cure."""
    wanted = [settings.readings, *(spec.name for spec in outputs(settings, 1))]
    there = store.describe(wanted)
    readings = there[settings.readings]
    if readings is None:
        return [f"the topic {settings.readings} does not exist: create it, or correct $.topics.readings"]
    found = []
    for name in wanted[1:]:
        spec = there[name]
        if spec is None:
            found.append(f"the topic {name} does not exist: start with --create-topics, or create it")
        elif spec.partitions != readings.partitions:
            found.append(
                f"the topic {name} has {spec.partitions} partitions, {settings.readings} has {readings.partitions}: "
                f"they must be equal; add partitions to {name} or create it again"
            )
        elif name == settings.state and "compact" not in spec.settings.get("cleanup.policy", "compact"):
            found.append(
                f"the topic {name} must be compacted, or retention deletes open episodes: set cleanup.policy=compact"
            )
    return found
