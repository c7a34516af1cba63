"""A backtest and an evaluation for a notebook, as frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from streamae.history import document, evaluate_page, evaluate_report, page, report
from streamae.history.backtest import Backtest
from streamae.history.evaluate import Evaluation
from streamae.history.figures import Facts

EPISODE = ["series", "start", "end", "known", "peak", "confirmed", "observed", "span", "in_sample", "channels"]
EVENT = ["series", "start", "end", "found", "known", "delay", "found_by", "peak", "channels"]


class Hindsight:
    """What a model would have said: `candidates` and `episodes` as frames; in a notebook, it shows itself."""

    def __init__(self, found: Backtest) -> None:
        self._found = found
        self.candidates = pd.DataFrame([_candidate(one) for one in found.figures]).set_index("name")
        self.episodes = pd.DataFrame([_episode(one) for one in found.episodes()], columns=_columns(found))

    @property
    def notes(self) -> list[str]:
        """What was looked at, what the model has learnt from, and what a reader should know."""
        return list(report.head(self._found.facts()))

    def save(self, file: str | Path) -> None:
        """Write the page that `streamae backtest --html` writes, with plots. Raises DataError."""
        page.write_page(Path(file), self._found)

    def __repr__(self) -> str:
        return "\n".join([*self.notes, str(self.candidates)])

    def _repr_html_(self) -> str:
        return document.paragraphs(self.notes) + page.candidates(self._found)


class Appraisal:
    """How a model fared: `figures`, `events` and `false` as frames; in a notebook, it shows itself."""

    def __init__(self, found: Evaluation) -> None:
        self._found = found
        facts = found.facts()
        self.figures = pd.DataFrame([_figures(one) for one in facts["figures"]]).set_index("name")
        self.events = pd.DataFrame([_event(one) for one in facts["events"]], columns=EVENT)
        self.false = pd.DataFrame([_episode(one) for one in facts["false"]], columns=EPISODE)

    @property
    def notes(self) -> list[str]:
        """What was looked at, what the model has learnt from, and what counts."""
        return [*evaluate_report.head(self._found), *evaluate_report.explained(self._found)]

    def save(self, file: str | Path) -> None:
        """Write the page that `streamae evaluate --html` writes, with plots. Raises DataError."""
        evaluate_page.write_page(Path(file), self._found)

    def __repr__(self) -> str:
        return "\n".join([*self.notes, str(self.figures)])

    def _repr_html_(self) -> str:
        return document.paragraphs(evaluate_report.head(self._found)) + evaluate_page.table(self._found)


def _figures(one: Facts) -> dict[str, Any]:
    delays = {name: _duration(one[f"{name}_s"]) for name in ("median_delay", "p90_delay")}
    return {name: value for name, value in one.items() if not name.endswith("_delay_s")} | delays


def _event(one: Facts) -> dict[str, Any]:
    channels = {channel["name"]: channel["share"] for channel in one.get("channels", ())}
    known = pd.NaT if one["known"] is None else _time(one["known"])
    times = {"start": _time(one["start"]), "end": _time(one["end"]), "known": known}
    return one | times | {"delay": _duration(one["delay_s"]), "channels": channels}


def _time(ms: int) -> Any:
    return pd.to_datetime(ms, unit="ms", utc=True)


def _duration(seconds: float | None) -> Any:
    return pd.NaT if seconds is None else pd.Timedelta(seconds, "s")


def _candidate(one: Facts) -> dict[str, Any]:
    plain = ("name", "factor", "budget", "threshold", "alerts", "per_series_week")
    found = {name: one[name] for name in plain}
    for part in ("in_sample", "out_of_sample"):
        found |= {f"{part}_{name}": value for name, value in one[part].items()}
    found |= {"share_in_alert": one["share_in_alert"], "longest": pd.Timedelta(one["longest_s"], "s")}
    if "labels" in one:
        labels = dict(one["labels"])
        delay = labels.pop("median_delay_s")
        found |= labels | {"median_delay": _duration(delay)}
    return found


def _columns(found: Backtest) -> list[str]:
    *head, channels = EPISODE
    return [*head, *(["true"] if found.events is not None else []), channels, "said"]


def _episode(one: Facts) -> dict[str, Any]:
    times = {name: pd.to_datetime(one[name], unit="ms", utc=True) for name in ("start", "end", "known")}
    channels = {channel["name"]: channel["share"] for channel in one["channels"]}
    return one | times | {"channels": channels}
