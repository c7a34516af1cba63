"""A backtest for a notebook: its candidates and its episodes as frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from streamae.history import page, report
from streamae.history.backtest import Backtest
from streamae.history.figures import Facts


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
        return "".join(f"<p>{page.escaped(note)}</p>" for note in self.notes) + page.candidates(self._found)


def _candidate(one: Facts) -> dict[str, Any]:
    plain = ("name", "factor", "budget", "threshold", "alerts", "per_series_week")
    found = {name: one[name] for name in plain}
    for part in ("in_sample", "out_of_sample"):
        found |= {f"{part}_{name}": value for name, value in one[part].items()}
    found |= {"share_in_alert": one["share_in_alert"], "longest": pd.Timedelta(one["longest_s"], "s")}
    if "labels" in one:
        labels = dict(one["labels"])
        delay = labels.pop("median_delay_s")
        found |= labels | {"median_delay": pd.NaT if delay is None else pd.Timedelta(delay, "s")}
    return found


def _columns(found: Backtest) -> list[str]:
    head = ["series", "start", "end", "known", "peak", "confirmed", "observed", "span", "in_sample"]
    return [*head, *(["true"] if found.events is not None else []), "channels", "said"]


def _episode(one: Facts) -> dict[str, Any]:
    times = {name: pd.to_datetime(one[name], unit="ms", utc=True) for name in ("start", "end", "known")}
    channels = {channel["name"]: channel["share"] for channel in one["channels"]}
    return one | times | {"channels": channels}
