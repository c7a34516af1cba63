"""The notebook's functions of what else a model is for: frames in, frames out, by series and time.

A frame has a time index or a column `time`, optionally a column `series`, and one column a channel.

>>> import numpy as np, pandas as pd, streamae
>>> time = pd.date_range("2026-01-01", periods=1000, freq="s", tz="UTC")
>>> level = np.sin(np.arange(1000) / 9)
>>> frame = pd.DataFrame({"temp": level, "flow": -level}, index=time)
>>> artifact = streamae.train(frame, "pca", baselines=())
>>> len(streamae.embed(artifact, frame))
234
>>> noisy = frame + np.random.default_rng(0).normal(size=frame.shape) / 15
>>> off = streamae.clean(artifact, noisy)["temp"].to_numpy() - level
>>> bool(off.std() < (noisy["temp"] - level).std() / 1.5)
True
>>> frame.iloc[500:520, 0] = np.nan
>>> filled = streamae.impute(artifact, frame).iloc[500:520]
>>> bool(filled["filled_temp"].all()), bool(abs(filled["temp"] - level[500:520]).max() < 0.2)
(True, True)
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from streamae.detection.artifact import Artifact
from streamae.errors import DataError
from streamae.training import files
from streamae.training.files import Table
from streamae.uses.generating import Wish, newest_window
from streamae.uses.generating import generate as generated
from streamae.uses.stretches import Asked, codes, ticks


def embed(artifact: Artifact, frame: pd.DataFrame) -> pd.DataFrame:
    """The code of every whole window: a row each with `series`, `start`, `end`, `observed`, `code_0`, `code_1`, ...

    Windows of which less than half was observed are left out. Raises ConfigError for a model that was trained before
    there was an encoder of its own, DataError where no series has a whole window.
    """
    parts = list(codes(artifact, _table(artifact, frame), Asked("embed")))
    found = pd.DataFrame(
        {
            "series": [name for part in parts for name in part.series],
            "start": _times(np.concatenate([part.start for part in parts])),
            "end": _times(np.concatenate([part.end for part in parts])),
            "observed": np.concatenate([part.observed for part in parts]),
        }
    )
    if not len(found):
        raise DataError(f"frame: no series has a whole window of {artifact.manifest.window.length} ticks to embed")
    numbers = np.concatenate([part.embedding for part in parts])
    named = pd.DataFrame(numbers, columns=[f"code_{at}" for at in range(numbers.shape[1])])
    return _sorted(pd.concat([found, named], axis=1), "start")


def clean(artifact: Artifact, frame: pd.DataFrame) -> pd.DataFrame:
    """Readings without what is most likely noise, a row a tick: `series`, `time`, and a column a channel.

    What is far off what the model expects stays as it is. `artifact.manifest.report["uses"]["clean"]` says how many dB
    of noise that took away on the calibrate span, and what simpler means did. Raises ConfigError, DataError.
    """
    return _repaired(artifact, frame, Asked("clean"))


def impute(artifact: Artifact, frame: pd.DataFrame) -> pd.DataFrame:
    """Readings with silence filled, a row a tick of which something is known: `series`, `time`, a column a channel.

    Of each channel `filled_<channel>` says whether a value was filled in, and `uncertainty_<channel>` its standard
    error; where less than a fifth of a window was observed, nothing is filled. Raises ConfigError for a model that was
    never shown silence, DataError where there is nothing to fill.
    """
    return _repaired(artifact, frame, Asked("impute"))


def generate(
    artifact: Artifact,
    ticks: int,
    seed: int = 0,
    series: str = "",
    by: pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame] | pd.Timestamp | str | None = None,
) -> pd.DataFrame:
    """A series that never was, of so many ticks, as a frame with a time index: the same seed gives the same one.

    `series` names whose level and spread it has; without, the fleet's. `by` is what it obeys: a frame with the context
    channels of a conditional model, a row a tick, from the time of its first row on where it has a time index; or a
    time (UTC where it names no zone), from which on the calendar holds; or two frames of at least a window each, and it
    goes from what is like the end of the first to what is like the end of the second. Where nothing says a time, it
    follows on what the model learnt from. Raises ConfigError for a model whose code cannot be sampled, DataError for
    conditions that it was not trained on.
    """
    manifest = artifact.manifest
    wish = Wish(ticks, series, seed, start=manifest.learnt_until)
    if isinstance(by, tuple):
        first, last = (newest_window(artifact, _table(artifact, one)) for one in by)
        wish = wish._replace(between=(first, last))
    elif isinstance(by, pd.DataFrame):
        wish = _obeying(wish, by, artifact)
    elif by is not None:
        wish = wish._replace(start=_ms(by))
    values = generated(artifact, wish)
    time = _times(wish.start + np.arange(ticks) * manifest.window.cadence_ms)
    return pd.DataFrame(values, columns=list(manifest.measured), index=time)


def _obeying(wish: Wish, by: pd.DataFrame, artifact: Artifact) -> Wish:
    names = list(artifact.manifest.conditions)
    missing = [name for name in names if name not in by.columns]
    if missing:
        raise DataError(f"by: no column {missing[0]!r}; {artifact.label} generates by {', '.join(names)}")
    if isinstance(by.index, pd.DatetimeIndex) and len(by):
        wish = wish._replace(start=_ms(by.index[0]))
    return wish._replace(conditions=by[names].to_numpy(np.float64))


def _repaired(artifact: Artifact, frame: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    parts = list(ticks(artifact, _table(artifact, frame), asked))
    names = list(artifact.manifest.measured)
    found = pd.DataFrame(np.concatenate([part.values for part in parts])[:, : len(names)], columns=names)
    found.insert(0, "series", [name for part in parts for name in part.series])
    found.insert(1, "time", _times(np.concatenate([part.time for part in parts])))
    if asked.use == "impute":
        sure = np.concatenate([part.uncertainty for part in parts if part.uncertainty is not None])[:, : len(names)]
        filled = pd.DataFrame(~np.isnan(sure), columns=[f"filled_{name}" for name in names])
        spread = pd.DataFrame(sure, columns=[f"uncertainty_{name}" for name in names])
        found = pd.concat([found, filled, spread], axis=1)
    return _sorted(found, "time")


def _table(artifact: Artifact, frame: pd.DataFrame) -> Table:
    return files.table(frame, artifact.manifest.measured)


def _ms(time: pd.Timestamp | str) -> int:
    stamp = pd.Timestamp(time)
    return int((stamp.tz_localize("UTC") if stamp.tz is None else stamp).timestamp() * 1000)


def _times(time: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pd.DatetimeIndex:
    return pd.to_datetime(time, unit="ms", utc=True)


def _sorted(found: pd.DataFrame, time: str) -> pd.DataFrame:
    return found.sort_values(["series", time], kind="stable", ignore_index=True)
