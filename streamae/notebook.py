"""The notebook's functions: frames in, artifacts and frames out. `import streamae` gives them without their weight.

A frame has a time index or a column `time`, optionally a column `series`, and one column a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from streamae.config import Config, Episodes, Training, Windows
from streamae.detection.artifact import Artifact
from streamae.detection.scoring import Scorer
from streamae.errors import ConfigError, DataError
from streamae.history import backtest as looking_back
from streamae.history import evaluate as evaluating
from streamae.history import labels as known_events
from streamae.history.candidates import Asked
from streamae.history.contenders import BASELINES, check, usual_config
from streamae.history.frames import Appraisal, Hindsight
from streamae.history.scoring import score_rows
from streamae.registry import Registry
from streamae.training import files, job
from streamae.training.files import Table
from streamae.training.history import Gathered
from streamae.training.series import LeftOut, usual

MODEL = "notebook"
SECTIONS = {"windows": Windows, "episodes": Episodes, "training": Training}
NOT_CHANNELS = ("time", "series")
OF_FILES = {"files", "time_column", "series_column", "topic_days", "leave_out_alerts"}  # options that frames do without


def train(
    frame: pd.DataFrame,
    autoencoder: str = "lstm",
    seed: int = 0,
    *,
    left_out: pd.DataFrame | None = None,
    **options: Any,
) -> Artifact:
    """Train an autoencoder on normal readings; the artifact scores and serves like any other.

    `autoencoder` is "lstm", "transformer", one of the baselines "pca", "kmeans" and "neighbours", or one that an
    installed package brings. Every column but `time` and `series` is a channel. `left_out` has the columns `series`,
    `start` and `end`: times that are not normal, on which nothing is learnt. `options` are keys of the config's
    sections windows, episodes and training, for instance `length=64`, `cadence_s=10`, `budget_per_week=2`; without
    `cadence_s`, the usual distance between readings is taken, without `length` the longest usual window that they have
    room for; `model` names the model. Unlike a training job, this
    fits once more on the whole frame when it has judged: give `refit=False` to keep the spans apart.

    Raises ConfigError for options that do not fit, DataError for a frame that cannot be learnt from.

    >>> import numpy as np, pandas as pd, streamae
    >>> time = pd.date_range("2026-01-01", periods=2000, freq="min", tz="UTC")
    >>> daily = np.sin(np.arange(2000) / 1440 * 2 * np.pi)
    >>> noise = np.random.default_rng(0).normal(size=(2000, 2)) / 10
    >>> channels = {"temp": daily + noise[:, 0], "flow": 2 - daily + noise[:, 1]}
    >>> frame = pd.DataFrame(channels, index=time)
    >>> artifact = streamae.train(frame, "pca")
    >>> artifact.manifest.window.cadence_ms, [channel.name for channel in artifact.manifest.channels]
    (60000, ['temp', 'flow'])
    """
    config = _config(frame, options | {"autoencoder": autoencoder, "seed": seed})
    times = [] if left_out is None else known_events.events(left_out, "left_out")
    return job.train(config, frame, left_out=[LeftOut(*one) for one in times])


def score(artifact: Artifact, frame: pd.DataFrame) -> pd.DataFrame:
    """Score every row of a frame: above 1 is anomalous, as it is on the topic of scores.

    A row each, in the order and with the index of the frame: `score` uses no later row; `settled` averages whole
    windows, the last of which ends `artifact.manifest.settled_lag` ticks later; and `error_<channel>` says which
    channels are off, in error units. NaN where less than half of the window's values were observed: also in the
    first rows of a series, which have too little before them.

    Raises DataError for a frame that has other channels, or nothing to score.

    >>> import numpy as np, pandas as pd, streamae
    >>> time = pd.date_range("2026-01-01", periods=1000, freq="s", tz="UTC")
    >>> frame = pd.DataFrame({"temp": np.random.default_rng(0).normal(size=1000)}, index=time)
    >>> artifact = streamae.train(frame, "pca")
    >>> frame.iloc[900:940] += 20
    >>> scores = streamae.score(artifact, frame)
    >>> bool(scores["score"].iloc[920] > 1), bool(scores["score"].iloc[800] > 1)
    (True, False)
    """
    channels = artifact.manifest.measured
    table = files.table(frame, channels)
    found = score_rows(artifact, table)
    columns: dict[str, Any] = {"series": frame["series"].to_numpy()} if "series" in frame.columns else {}
    columns |= {"score": found.score, "settled": found.settled}
    errors = {f"error_{name}": found.channel_error[:, at] for at, name in enumerate(channels)}
    return pd.DataFrame(columns | errors, index=frame.index)


def backtest(
    artifact: Artifact,
    frame: pd.DataFrame,
    thresholds: Sequence[float] | None = None,
    budgets: Sequence[float] | None = None,
    labels: pd.DataFrame | None = None,
) -> Hindsight:
    """Find the alerts that serving would have published on a frame, under several thresholds or alert budgets.

    `thresholds` are factors on the artifact's own; `budgets` are false episodes per series and week, calibrated anew on
    the artifact's calibrate span, which the frame has to hold. `labels` has the columns `series`, `start` and `end`:
    times that are known to be anomalous. What comes back has the frames `candidates`, a row each, and `episodes`, those
    of the artifact's own thresholds or of the one candidate that was asked for; `save("page.html")` plots them.

    Raises ConfigError for what is no threshold, DataError for a frame that cannot be looked back on.

    >>> import numpy as np, pandas as pd, streamae
    >>> time = pd.date_range("2026-01-01", periods=1000, freq="s", tz="UTC")
    >>> frame = pd.DataFrame({"temp": np.random.default_rng(0).normal(size=1000)}, index=time)
    >>> artifact = streamae.train(frame, "pca")
    >>> frame.iloc[900:940] += 20
    >>> found = streamae.backtest(artifact, frame, thresholds=[1, 100_000])
    >>> found.candidates["alerts"].to_dict()
    {'as trained': 1, '100000 times': 0}
    >>> found.episodes["series"].tolist()
    ['readings']
    """
    events = None if labels is None else known_events.events(labels)
    table = files.table(frame, artifact.manifest.measured)
    rules = looking_back.usual_rules(artifact.manifest)
    return Hindsight(looking_back.backtest(Scorer(artifact), table, rules, Asked.of(thresholds, budgets, events)))


def evaluate(
    artifact: Artifact,
    frame: pd.DataFrame,
    labels: pd.DataFrame,
    baselines: Sequence[str] = BASELINES,
    trained_on: pd.DataFrame | None = None,
) -> Appraisal:
    """Hold an artifact's alerts and scores against labels, beside baselines that are trained on the same.

    `labels` has the columns `series`, `start` and `end`. Only what the artifact has not learnt from counts. `baselines`
    are some of "pca", "kmeans", "neighbours" and "sigma", or none; they learn from `trained_on`, the frame that the
    artifact was trained on, or from that part of `frame`. What comes back has the frames `figures`, a row each,
    `events`, and `false`, the episodes that touch none; `save("page.html")` plots what was missed and what was false.

    Raises ConfigError for a baseline that is not there, DataError where no label counts, or nothing to learn from.

    >>> import numpy as np, pandas as pd, streamae
    >>> time = pd.date_range("2026-01-01", periods=1200, freq="s", tz="UTC")
    >>> frame = pd.DataFrame({"temp": np.random.default_rng(0).normal(size=1200)}, index=time)
    >>> artifact = streamae.train(frame.iloc[:1000], "pca")
    >>> frame.iloc[1100:1140] += 20
    >>> labels = pd.DataFrame({"series": ["readings"], "start": time[[1100]], "end": time[[1140]]})
    >>> found = streamae.evaluate(artifact, frame, labels, baselines=["sigma"])
    >>> found.figures["recall"].tolist()
    [1.0, 1.0]
    """
    known, events = check(baselines), known_events.events(labels)
    channels = artifact.manifest.measured
    learnt = frame if trained_on is None else trained_on
    asked = evaluating.Question(
        usual_config(artifact.manifest),
        files.table(frame, channels),
        events,
        known,
        lambda config: Gathered(files.table(learnt, channels)),
    )
    return Appraisal(evaluating.evaluate(artifact, asked, lambda stage: lambda handled: None))


def load(registry: str | Path, model: str = MODEL, version: str | None = None) -> Artifact:
    """A version of a model from a registry; the champion, where no version is named. Raises RegistryError."""
    versions = Registry(registry)
    wanted = version or versions.champion(model)
    if wanted is None:
        raise DataError(f"{registry}: {model} has no champion; name a version: {', '.join(versions.versions(model))}")
    return versions.load(model, wanted)


def register(artifact: Artifact, registry: str | Path) -> Artifact:
    """Keep an artifact in a registry as the next version of its model, from where it can be promoted and served."""
    return Registry(registry).register(artifact)


def _config(frame: pd.DataFrame, options: dict[str, Any]) -> Config:
    """The config that these options stand for; there is no topic in it."""
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    model = options.pop("model", MODEL)
    owner = {key: name for name, kind in SECTIONS.items() for key in kind.__struct_fields__ if key not in OF_FILES}
    for key, value in options.items():
        if key not in owner:
            raise ConfigError(f"train() knows no option {key!r}; there are {', '.join(sorted(owner))}, model")
        sections[owner[key]][key] = value
    times = files.table(frame, [])
    cadence_s = sections["windows"].setdefault("cadence_s", _cadence_s(times))
    length, spans = usual(times, round(cadence_s * 1000))
    if "length" not in sections["windows"]:
        sections["windows"]["length"] = length
        sections["training"].setdefault("spans", {"fit": spans.fit, "calibrate": spans.calibrate})
    sections["training"].setdefault("refit", True)
    channels = {str(name): f"$.{name}" for name in frame.columns if name not in NOT_CHANNELS}
    if not channels:
        raise DataError("frame: no column of a channel; give one column a channel beside `time` and `series`")
    raw = sections | {
        "service": model,
        "model": model,
        "topics": {"store": "embedded://", "readings": model},
        "readings": {"channels": channels},
    }
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"train(): {error}") from error


def _cadence_s(table: Table) -> float:
    """The median distance between a series' readings, in s."""
    order = np.lexsort((table.time, table.series))
    apart = np.diff(table.time[order])[np.diff(table.series[order]) == 0]
    apart = apart[apart > 0]
    if not len(apart):
        raise DataError("frame: no series has readings at two times, so there is no cadence to train with")
    return float(np.median(apart)) / 1000
