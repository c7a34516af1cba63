"""The sections of a config: one a room, frozen, every key with its unit, its default and its limits."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import asdict

from streamae.config.schedule import Schedule, cron, interval
from streamae.config.section import AGES_S, Count, Name, Seconds, Section
from streamae.detection.episodes import EpisodePolicy
from streamae.detection.grid import Lateness
from streamae.detection.manifest import WindowSpec
from streamae.detection.readings import Mapping
from streamae.detection.uses import Use
from streamae.errors import ConfigError


class Topics(Section, frozen=True, kw_only=True):
    """Where records live. The outputs are named after the service: `<service>.alerts`, `.scores`, ..."""

    store: str  # kafka://host:port,host:port or embedded:///path/to/file.db
    readings: str  # the input topic
    client: dict[str, str | int | float | bool] = field(default_factory=dict)  # of the Kafka client (security, ...)

    def __post_init__(self) -> None:
        if not self.store.startswith(("kafka://", "embedded://")):
            raise ValueError(f"store is kafka://host:port or embedded://path/to/file.db, not {self.store!r}")


class Readings(Section, frozen=True, kw_only=True):
    """How a record becomes a reading."""

    codec: Literal["json"] = "json"
    layout: Literal["wide", "tall"] = "wide"
    series_from: str = "key"  # "key" or a JSON path
    series: str = "*"  # only the series that match this pattern
    time: str = "$.time"
    time_unit: Literal["s", "ms", "us", "ns", "iso8601"] = "ms"
    channels: dict[str, str]  # wide: name -> JSON path; tall: name -> the tag that stands for it
    channel: str = "$.channel"  # tall: where the tag is
    value: str = "$.value"  # tall: where the value is
    strict: bool = False  # a channel that the mapping does not know makes a dead letter
    max_ahead_s: Seconds = 3600.0  # a time further ahead of the record's own timestamp makes a dead letter

    def __post_init__(self) -> None:
        self.mapping()

    def mapping(self) -> Mapping:
        """The same, as detection takes it."""
        facts = asdict(self)
        del facts["codec"]
        return Mapping(max_ahead_ms=int(facts.pop("max_ahead_s") * 1000), **facts)


class Windows(Section, frozen=True, kw_only=True):
    """Windows over event time, in ticks of `cadence_s`."""

    cadence_s: Annotated[float, Meta(gt=0, le=AGES_S)]
    length: Annotated[int, Meta(ge=2)] = 128
    stride: Annotated[int, Meta(ge=1)] = 4
    lateness_s: Seconds = 0.0  # how far a series' watermark trails its newest reading
    max_lag_s: Seconds | None = None  # how far a series may trail its partition; default: two windows

    def __post_init__(self) -> None:
        self.spec()
        if self.lateness().max_lag_ms < self.lateness().lateness_ms:
            raise ValueError("max_lag_s must not be smaller than lateness_s: windows would close before they are late")

    def spec(self) -> WindowSpec:
        """Length, stride and cadence."""
        return WindowSpec(length=self.length, stride=self.stride, cadence_ms=round(self.cadence_s * 1000))

    def lateness(self) -> Lateness:
        """When windows close."""
        max_lag = self.max_lag_s if self.max_lag_s is not None else 2 * self.length * self.cadence_s + self.lateness_s
        return Lateness(lateness_ms=round(self.lateness_s * 1000), max_lag_ms=round(max_lag * 1000))


class Episodes(Section, frozen=True, kw_only=True):
    """When an anomaly is an alert."""

    fire_after: Count = 2  # anomalous windows in a row
    resolve_after: Count = 4  # calm windows in a row
    min_observed: Annotated[float, Meta(ge=0, le=1)] = 0.5  # share of values that a window needs to count
    expire_after_s: Seconds | None = None  # silence that ends an episode; default: max_lag_s + two windows
    keep_budget: bool = False  # each ended episode raises the threshold of its series for a while

    def policy(self, windows: Windows) -> EpisodePolicy:
        """The same, as detection takes it."""
        max_lag_s = windows.lateness().max_lag_ms / 1000
        least = max_lag_s + windows.stride * windows.cadence_s
        usual = max_lag_s + 2 * windows.length * windows.cadence_s
        silence = usual if self.expire_after_s is None else self.expire_after_s
        if silence <= least:
            raise ConfigError(
                f"$.episodes.expire_after_s: {silence:g} s is not more than max_lag_s + a stride ({least:g} s): "
                "a series that merely lags would be held to be silent"
            )
        return EpisodePolicy(
            fire_after=self.fire_after,
            resolve_after=self.resolve_after,
            min_observed=self.min_observed,
            expire_after_ms=round(silence * 1000),
            keep_budget=self.keep_budget,
        )


class Retraining(Section, frozen=True, kw_only=True):
    """When to train again: by `cron` or `every_s`."""

    cron: str | None = None  # minute, hour, day, month, weekday on the clock of `timezone`
    timezone: str = "UTC"
    every_s: Annotated[float, Meta(ge=1, le=AGES_S)] | None = None  # counted from the epoch: the same for all replicas
    jitter_s: Seconds = 0.0  # a run starts up to so much later, by chance
    grace_s: Count = 3600  # a scheduled time at which no run could start for so long was missed
    missed: Literal["run", "skip"] = "run"  # of the times missed, make the newest up, once; or none

    def __post_init__(self) -> None:
        with suppress(ModuleNotFoundError):  # where one serves only, there is no scheduler
            self.schedule()

    def schedule(self) -> Schedule | None:
        """The scheduled times; None where none are asked for."""
        if self.cron is not None and self.every_s is not None:
            raise ValueError("cron and every_s are both given; give one of them")
        if self.cron is not None:
            return cron(self.cron, self.timezone)
        return interval(self.every_s) if self.every_s is not None else None


class Serving(Section, frozen=True, kw_only=True):
    """The consumer service."""

    start: str = "earliest"  # or "latest", or an ISO 8601 time; holds for the first start only
    scores: Literal["off", "json", "packed"] = "off"
    uses: tuple[Use, ...] = ()  # what else is published of each window: embed, clean, impute
    device: Literal["cpu", "cuda"] = "cpu"
    commit_interval_ms: Count = 200
    http_port: Annotated[int, Meta(ge=0, le=65535)] = 9464  # 0: any free port
    http_host: str = "127.0.0.1"
    instance: Name = "0"  # stable name of this replica: restarted, it gets its partitions back at once
    refresh_s: Annotated[float, Meta(gt=0)] = 2.0  # how often the registry is asked for a new champion
    damaged: Literal["hold", "skip"] = "hold"  # a batch that cannot be read holds its partition, or is a dead letter
    most_series: Count = 100_000  # in open windows of a partition; one more holds the partition
    flood: Annotated[float, Meta(gt=0, le=1)] = 0.95  # of records no readings: beyond that share they are read slowly

    def __post_init__(self) -> None:
        self.start_at()
        if len(set(self.uses)) < len(self.uses):
            raise ValueError(f"uses names one twice: {', '.join(self.uses)}")

    def start_at(self) -> Literal["earliest", "latest"] | int:
        """Where a first start begins: an end of the topic, or an event time in ms."""
        if self.start == "earliest":
            return "earliest"
        if self.start == "latest":
            return "latest"
        try:
            moment = datetime.fromisoformat(self.start)
        except ValueError as error:
            raise ValueError(f"start is `earliest`, `latest` or a time like 2026-11-01T00:00:00Z: {error}") from error
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if aware.timestamp() < 0:
            raise ValueError(f"start = {self.start!r} is before 1970, when no record was")
        return round(aware.timestamp() * 1000)
