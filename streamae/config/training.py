"""The section of a batch job: which autoencoder, towards which objective, fitted how, on what."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Literal

from msgspec import Meta, field

from streamae.config.objectives import Conditional, Denoising, Masked, Objective, ObjectiveName, named
from streamae.config.section import Count, Name, Section, Share
from streamae.detection.derived import Period

AUTOENCODERS = "streamae.autoencoders"  # the group of entry points
LINEAR = "pca"  # the baseline that serves where an autoencoder is not worth it
MEMORY = "memory"  # the part that stands beside PCA and every network
UNTRAINED = (LINEAR, MEMORY, "kmeans", "neighbours")  # without a network
DEVIATION = "deviation"  # from the mean: a baseline only
WIDEST = 64  # nodes of a network's first layer, from which the others taper to the code

ThresholdRule = Literal["gumbel", "pot", "conformal", "quantile"]
Activation = Literal["gelu", "relu", "elu", "silu", "tanh", "identity"]


class Spans(Section, frozen=True, kw_only=True):
    """Shares of a series' time, in this order; what is left over is the judge span."""

    fit: Share = 0.55
    calibrate: Share = 0.3

    def __post_init__(self) -> None:
        if self.fit + self.calibrate > 1:
            raise ValueError(f"fit + calibrate must not exceed 1, not {self.fit + self.calibrate:g}")


class Training(Section, frozen=True, kw_only=True):
    """A batch job: which autoencoder, fitted how, on what."""

    files: tuple[str, ...] = ()  # Parquet or CSV files with columns series, time and one a channel; patterns allowed
    time_column: str = "time"  # what the files call it
    series_column: str = "series"
    topic_days: Annotated[float, Meta(gt=0)] | None = None  # or the newest so many days of the topic of readings
    leave_out_alerts: bool = True  # of the topic's readings, those in an episode of this model are not learnt from
    autoencoder: Name = "lstm"  # transformer, conv, dense, a baseline, or what an installed package brings
    objective: Objective | ObjectiveName = "denoising"  # what a network is trained towards
    layers: Count = 1  # of the encoder, mirrored; their nodes taper from 64 to the code
    hidden: Annotated[tuple[Count, ...], Meta(min_length=1)] | None = None  # or nodes of each layer
    code: Count = 8  # size of the code
    activation: Activation | None = None  # dense, conv and transformer: between layers; default: gelu
    token: Count = 4  # rows that make one token
    heads: Count = 4  # transformer: attention heads
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    loss: Literal["mse", "mae", "huber"] = "mse"
    rank: Annotated[int, Meta(ge=0)] = 16  # components of the linear part in each view
    steps: Count = 300
    batch: Count = 64
    learning_rate: Annotated[float, Meta(gt=0)] = 8e-3  # the peak of the one-cycle schedule
    patience: Count = 4  # checks of the validation loss without gain that end fitting early
    ranges: dict[str, float] = field(
        default_factory=dict
    )  # engineering range of a channel: below a tenth of it nothing matters
    context: tuple[str, ...] = ()  # channels that condition the others but have no error of their own
    modes: tuple[str, ...] = ()  # of the same, those whose whole numbers are modes, without order or distance
    calendar: tuple[Period, ...] = ()  # what else conditions them: where in the day, week or year (UTC) a reading lies
    baselines: tuple[str, ...] = ("pca", "kmeans", "neighbours", DEVIATION)  # that are judged beside the autoencoder
    gate: Literal["warn", "serve_baseline"] = "warn"  # where it is not clearly better than pca: say so, or serve pca
    seed: int = 0
    spans: Spans = Spans()
    refit: bool = False  # once judged, fit again on all spans; thresholds stay those of the judged fit
    budget_per_week: Annotated[float, Meta(gt=0)] = 1.0  # false episodes per series and week that are accepted
    threshold_rule: ThresholdRule = "gumbel"  # how thresholds come from the budget

    @property
    def aim(self) -> Objective:
        """The objective with its parameters, the usual ones where it is only named."""
        return named(self.objective) if isinstance(self.objective, str) else self.objective

    @property
    def aim_name(self) -> str:
        """What the objective is called."""
        return self.objective if isinstance(self.objective, str) else str(self.objective.__struct_config__.tag)

    @property
    def nodes(self) -> tuple[int, ...]:
        """Of each layer of the encoder; where layers taper, multiples of `heads`."""
        if self.hidden is not None:
            return self.hidden
        sizes = (WIDEST * (self.code / WIDEST) ** (at / self.layers) for at in range(self.layers))
        return tuple(max(round(size / self.heads), 1) * self.heads for size in sizes)

    @property
    def fills(self) -> bool:
        """Whether what comes out can fill silence: it was shown some."""
        aim = self.aim
        shown = isinstance(aim, Masked) or (isinstance(aim, Denoising) and aim.dropped + aim.blocked > 0)
        return self.autoencoder == LINEAR or (self.autoencoder not in UNTRAINED and shown)

    @property
    def columns(self) -> dict[str, str]:
        """What the files call `time` and `series` -> these."""
        return {self.time_column: "time", self.series_column: "series"}

    def __post_init__(self) -> None:
        known = sorted(entry_points(group=AUTOENCODERS).names)
        if self.autoencoder not in known:
            raise ValueError(f"there is no autoencoder `{self.autoencoder}`; known: {', '.join(known)}")
        self._check_network()
        strangers = [name for name in self.baselines if name not in (*known, DEVIATION)]
        if strangers:
            raise ValueError(f"there is no baseline `{strangers[0]}`; known: {', '.join((*known, DEVIATION))}")
        if self.gate == "serve_baseline" and LINEAR not in self.baselines:
            raise ValueError(f'gate = "serve_baseline" needs `{LINEAR}` among the baselines')
        for key, names in (("modes", self.modes), ("calendar", self.calendar)):
            if len(set(names)) < len(names):
                raise ValueError(f"{key} names {max(names, key=names.count)!r} twice")
        if self.time_column == self.series_column:
            raise ValueError(f"time_column and series_column are both {self.time_column!r}")
        if self.files and self.topic_days is not None:
            raise ValueError("$.training.files and $.training.topic_days are both given; train on one of them")

    def _check_network(self) -> None:
        if self.hidden is not None and self.layers not in (1, len(self.hidden)):
            raise ValueError(f"hidden has {len(self.hidden)} layers, and layers = {self.layers}; give one of them")
        if self.activation is not None and self.autoencoder == "lstm":
            raise ValueError("activation: the gates of an LSTM are what they are; leave it out, or choose another kind")
        if isinstance(self.aim, Conditional) and not (self.context or self.modes or self.calendar):
            raise ValueError(
                "objective = `conditional` is given the channels that context and modes name, and the calendar, and "
                "there is none of them; name what is to be a condition, or choose `variational`"
            )
