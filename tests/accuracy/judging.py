"""One series, one candidate: train on the prefix, score all rows, hold the scores against the labels."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import streamae
from streamae.detection.artifact import Artifact
from streamae.history.vus import period, volume
from tests.accuracy.recordings import Record, load

CUTS = (0.5, 0.75, 0.95)  # of a series, at which causal scores must not change


@dataclass(frozen=True)
class Candidate:
    """An autoencoder and options of streamae.train that are tried."""

    name: str
    autoencoder: str
    options: dict[str, Any] = field(default_factory=dict)


Row = dict[str, Any]
Task = tuple[Record, Candidate, int, bool]  # whose last says whether causality is checked


def judge(task: Task) -> Row:
    """What a candidate comes to on a series: VUS-PR of both scores, seconds, the gate's verdict; or its failure."""
    record, candidate, seed, check = task
    row: Row = {"family": record.dataset, "series": record.series, "candidate": candidate.name, "seed": seed}
    try:
        return row | _judged(record, candidate, seed, check) | {"error": ""}
    except Exception as error:  # one series must not hide the others
        return row | failure(error)


def failure(error: Exception) -> Row:
    """What a row has in place of figures."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return {"error": f"{type(error).__name__}: {error} ({where.name})"[:300]}


def earlier(out: Path | None) -> list[Row]:
    """The rows of an earlier run that did not fail."""
    if out is None or not out.exists():
        return []
    rows = [row for row in json.loads(out.read_text(encoding="utf-8")) if not row["error"]]
    print(f"{len(rows)} rows are those of an earlier run, from {out}")
    return rows


def _judged(record: Record, candidate: Candidate, seed: int, check: bool) -> Row:
    frame, label = load(record)
    began = time.process_time()
    artifact = streamae.train(
        frame.iloc[: record.train_rows], candidate.autoencoder, seed, **{"baselines": (), **candidate.options}
    )
    fitted = time.process_time()
    scores = streamae.score(artifact, frame)
    scored = time.process_time()
    if check:
        _check_causal(artifact, frame, scores["score"].to_numpy(), record.train_rows)
    report = artifact.manifest.report
    duels = {name: facts["duel"] for name, facts in report["baselines"].items()}
    return volumes(record, frame, label, scores) | {
        "fit_cpu_s": fitted - began,
        "us_per_row": (scored - fitted) / len(frame) * 1e6,
        "worth": bool(duels.get("pca") and duels["pca"]["better"]),
        "duels": duels,
    }


def volumes(record: Record, frame: Any, label: Any, scores: Any) -> Row:
    """VUS-PR of both scores, over the rows that count."""
    first = record.first
    width = period(frame.iloc[first:, 0].to_numpy(np.float64))
    return {
        kind: volume(label[first:], scores[column].to_numpy(np.float64)[first:], width)
        for kind, column in (("causal", "score"), ("settled", "settled"))
    }


def _check_causal(artifact: Artifact, frame: Any, scores: Any, train_rows: int) -> None:
    for part in CUTS:
        rows = max(int(len(frame) * part), train_rows)
        head = streamae.score(artifact, frame.iloc[:rows])["score"].to_numpy()
        if not np.allclose(head, scores[:rows], rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ValueError(f"causal scores before row {rows} change when later rows are added")
