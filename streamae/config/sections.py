"""The sections of a config: one a room, frozen, every key with its unit, its default and its limits."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streamae.config.schedule import Schedule, cron, interval
from streamae.detection.artifact import LONGEST_MS, WindowSpec
from streamae.detection.episodes import EpisodePolicy
from streamae.detection.grid import Lateness
from streamae.detection.readings import Mapping
from streamae.errors import ConfigError

AUTOENCODERS = "streamae.autoencoders"  # the group of entry points
LINEAR = "pca"  # the baseline that serves where an autoencoder is not worth it
MEMORY = "memory"  # the part that stands beside PCA and every network
DEVIATION = "deviation"  # from the mean: a baseline only

Share = Annotated[float, Meta(gt=0, lt=1)]
AGES_S = LONGEST_MS / 1000
Seconds = Annotated[float, Meta(ge=0, le=AGES_S)]
Count = Annotated[int, Meta(ge=1)]
ThresholdRule = Literal["gumbel", "pot", "conformal", "quantile"]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """House rules of every section: frozen, by name, unknown keys refused."""


class Topics(Section, frozen=True, kw_only=True):
    """Where records live. The outputs are named after the service: `<service>.alerts`, `.scores`, ..."""

    store: str  # kafka://host:port,host:port or embedded:///path/to/file.db
    readings: str  # the input topic
    client: dict[str, str | int | float | bool] = {}  # further settings of the Kafka client (security, ...)

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
        facts = msgspec.structs.asdict(self)
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


class Spans(Section, frozen=True, kw_only=True):
    """Shares of a series' time, in this order; what is left over is the judge span."""

    fit: Share = 0.55
    calibrate: Share = 0.3

    def __post_init__(self) -> None:
        if self.fit + self.calibrate > 1:
            raise ValueError(f"fit + calibrate must not exceed 1, not {self.fit + self.calibrate:g}")


class Training(Section, frozen=True, kw_only=True):
    """A batch job: which autoencoder, fitted how, on what."""

    files: list[str] = []  # Parquet or CSV files with columns series, time and one a channel; patterns allowed
    time_column: str = "time"  # what the files call it
    series_column: str = "series"
    topic_days: Annotated[float, Meta(gt=0)] | None = None  # or the newest so many days of the topic of readings
    leave_out_alerts: bool = True  # of the topic's readings, those in an episode of this model are not learnt from
    autoencoder: Name = "lstm"  # transformer, pca, memory, kmeans, neighbours, or what an installed package brings
    hidden: Annotated[tuple[Count, ...], Meta(min_length=1)] = (64,)  # nodes of the encoder's layers, mirrored
    code: Count = 8  # size of the code
    token: Count = 4  # rows that make one token
    heads: Count = 4  # transformer: attention heads
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    noise: Annotated[float, Meta(ge=0)] = 0.1  # standard deviation of the noise added to inputs while fitting
    loss: Literal["mse", "mae", "huber"] = "mse"
    rank: Annotated[int, Meta(ge=0)] = 16  # components of the linear part in each view
    steps: Count = 300
    batch: Count = 64
    learning_rate: Annotated[float, Meta(gt=0)] = 8e-3  # the peak of the one-cycle schedule
    patience: Count = 4  # checks of the validation loss without gain that end fitting early
    ranges: dict[str, float] = {}  # engineering range of a channel: below a tenth of it nothing matters
    context: list[str] = []  # channels that condition the others but have no error of their own
    baselines: tuple[str, ...] = ("pca", "kmeans", "neighbours", DEVIATION)  # that are judged beside the autoencoder
    gate: Literal["warn", "serve_baseline"] = "warn"  # where it is not clearly better than pca: say so, or serve pca
    seed: int = 0
    spans: Spans = Spans()
    refit: bool = False  # once judged, fit again on all spans; thresholds stay those of the judged fit
    budget_per_week: Annotated[float, Meta(gt=0)] = 1.0  # false episodes per series and week that are accepted
    threshold_rule: ThresholdRule = "gumbel"  # how thresholds come from the budget

    @property
    def columns(self) -> dict[str, str]:
        """What the files call `time` and `series` -> these."""
        return {self.time_column: "time", self.series_column: "series"}

    def __post_init__(self) -> None:
        known = sorted(entry_points(group=AUTOENCODERS).names)
        if self.autoencoder not in known:
            raise ValueError(f"there is no autoencoder `{self.autoencoder}`; known: {', '.join(known)}")
        strangers = [name for name in self.baselines if name not in (*known, DEVIATION)]
        if strangers:
            raise ValueError(f"there is no baseline `{strangers[0]}`; known: {', '.join((*known, DEVIATION))}")
        if self.gate == "serve_baseline" and LINEAR not in self.baselines:
            raise ValueError(f'gate = "serve_baseline" needs `{LINEAR}` among the baselines')
        if self.time_column == self.series_column:
            raise ValueError(f"time_column and series_column are both {self.time_column!r}")
        if self.files and self.topic_days is not None:
            raise ValueError("$.training.files and $.training.topic_days are both given; train on one of them")


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
