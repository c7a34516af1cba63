"""A kind of autoencoder on a labelled series: trained on its prefix, held against the labels of the rest."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import streamae
from tests.accuracy.judging import Row, failure, volumes
from tests.accuracy.recordings import load, records
from tests.family.kinds import Kind, options

SERIES = "readings"  # what a frame without a column of series is called


def judge(task: dict[str, Any]) -> Row:
    """VUS-PR of both scores, events found and false episodes; or its failure."""
    row: Row = {"task": task, "error": ""}
    try:
        return row | _judged(Kind(task["backbone"], task["objective"]), task["family"], task["series"])
    except Exception as error:  # one series must not hide the others
        return row | failure(error)


def _judged(kind: Kind, family: str, series: str) -> Row:
    (record,) = (one for one in records([family]) if one.series == series)
    frame, label = load(record)
    chosen = options(kind)
    if kind.objective == "conditional":  # none of these series says what conditions it: its first channel has to
        if frame.shape[1] == 1:
            return {"left_out": "one channel, so nothing can condition it"}
        chosen["context"] = (str(frame.columns[0]),)
    began = time.process_time()
    artifact = streamae.train(frame.iloc[: record.train_rows], kind.backbone, **chosen)
    fitted = time.process_time()
    scores = streamae.score(artifact, frame)
    later = record.train_rows
    labels = _events(label[later:], frame.index[later:])
    served = streamae.backtest(artifact, frame.iloc[later:], thresholds=[1.0], labels=labels).candidates.iloc[0]
    return {
        **volumes(record, frame, label, scores),
        "events": len(labels),
        "found": int(served["found"]),
        "false": int(served["false"]),
        "train_cpu_s": fitted - began,
    }


def _events(label: NDArray[np.bool_], time: pd.Index) -> pd.DataFrame:
    """The labelled times."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], label, [False]]))).reshape(-1, 2)
    after = time[-1] + (time[-1] - time[-2])
    ends = [time[end] if end < len(time) else after for end in edges[:, 1]]
    return pd.DataFrame({"series": SERIES, "start": time[edges[:, 0]], "end": ends})
