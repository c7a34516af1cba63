"""Stored readings are cleaned and filled by the windows that serve: each tick once, as the topics have it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import streamae
from streamae.detection.artifact import Artifact
from streamae.topics.topics import Output
from tests.graphs import tiny_artifact
from tests.serving.fleet import LENGTH, SETTINGS, STRIDE, USES, fleet_log
from tests.serving.stand import CADENCE_MS, Stand

NAMES = ["channel-0", "channel-1"]
IN_ORDER = {"windows": {**SETTINGS["windows"], "lateness_s": 0.0, "max_lag_s": 1e5}}


class Served(NamedTuple):
    """What a service published of a fleet, and the same readings as a frame."""

    artifact: Artifact
    records: dict[str, list[dict[str, Any]]]
    frame: pd.DataFrame


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A fleet that is served in the order of event time."""
    folder = tmp_path_factory.mktemp("served")
    stand = Stand(f"embedded://{folder / 'topics.db'}", "plant", folder, 1, {**USES, **IN_ORDER})
    stand.champion(tiny_artifact(length=LENGTH, stride=STRIDE))
    log = [one for one in fleet_log(stand.config.topics.readings, seed=5, ticks=150) if _is_reading(one)]
    log.sort(key=lambda one: one.timestamp or 0)
    stand.write(log)
    stand.serve_all()
    topics = ("embeddings", "cleaned", "imputed")
    records = {topic: [msgspec.json.decode(value or b"") for _, _, value in stand.read(topic)] for topic in topics}
    artifact = stand.registry.load("tiny", "v0001")
    stand.close()
    rows = [{"series": (one.key or b"").decode(), **msgspec.json.decode(one.value or b"")} for one in log]
    frame = pd.DataFrame(rows).rename(columns=dict(zip("ab", NAMES, strict=True)))
    return Served(artifact, records, frame[["series", "time", *NAMES]])


def _is_reading(output: Output) -> bool:
    try:
        found = msgspec.json.decode(output.value or b"")
    except msgspec.DecodeError:
        return False
    return {"time", "a", "b"} <= found.keys() and bool(found["time"] == output.timestamp)


def published(records: list[dict[str, Any]], filled: bool) -> pd.DataFrame:
    """Records as the notebook's functions have it: a row a tick of which something is known."""
    rows = []
    for record in records:
        for at, time in enumerate(range(record["start"], record["end"], record["cadence_ms"])):
            row: dict[str, Any] = {"series": record["series"], "time": pd.Timestamp(time, unit="ms", tz="UTC")}
            for name, one in record["channels"].items():
                row[name] = one["values"][at] if filled else one[at]
                if filled:
                    marked = at in one["filled"]
                    row[f"filled_{name}"] = marked
                    row[f"uncertainty_{name}"] = one["uncertainty"][one["filled"].index(at)] if marked else None
            rows.append(row)
    found = pd.DataFrame(rows)
    known = found[NAMES].notna().any(axis=1)
    return found[known].sort_values(["series", "time"], ignore_index=True)


@pytest.mark.parametrize(("topic", "use"), [("cleaned", streamae.clean), ("imputed", streamae.impute)])
def test_stored_readings_become_what_the_topic_has(served: Served, topic: str, use: Any) -> None:
    """The topic ends earlier, for windows that no later reading has closed were not published."""
    there = published(served.records[topic], topic == "imputed")
    stored = use(served.artifact, served.frame)
    both = stored.merge(there[["series", "time"]], on=["series", "time"])
    assert_frame_equal(both[there.columns].astype(there.dtypes), there)
    last = there.groupby("series")["time"].max()
    rest = stored[stored["time"] <= stored["series"].map(last)]
    assert len(rest) == len(there) > 2000


def test_codes_of_stored_readings_are_those_of_the_topic(served: Served) -> None:
    there = {(one["series"], one["start"]): one["embedding"] for one in served.records["embeddings"]}
    found = streamae.embed(served.artifact, served.frame)
    starts = found["start"].astype("datetime64[ms, UTC]").astype("int64")
    codes = dict(zip(zip(found["series"], starts, strict=True), found.filter(like="code_").to_numpy(), strict=True))
    assert there.keys() <= codes.keys()
    assert len(there) > 500
    np.testing.assert_array_equal([codes[key] for key in there], np.array(list(there.values()), np.float32))


def test_every_tick_that_was_measured_is_cleaned_once(served: Served) -> None:
    """From a series' first reading to its last."""
    measured = served.frame.assign(tick=served.frame["time"] // CADENCE_MS)
    last = measured.groupby(["series", "tick"])[NAMES].last().dropna(how="all")
    cleaned = streamae.clean(served.artifact, served.frame)
    ticks = cleaned["time"].astype("datetime64[ms, UTC]").astype("int64") // CADENCE_MS
    found = cleaned.set_index([cleaned["series"], ticks.rename("tick")])[NAMES].sort_index()
    assert found.index.tolist() == last.sort_index().index.tolist()
    assert (found.isna() == last.sort_index().isna()).all(axis=None)


def test_a_gap_is_filled_and_marked_and_what_was_measured_stays(served: Served) -> None:
    imputed = streamae.impute(served.artifact, served.frame)
    assert imputed["time"].max() == pd.to_datetime(served.frame["time"].max(), unit="ms", utc=True)  # and no further
    for name in NAMES:
        filled = imputed[f"filled_{name}"]
        assert filled.sum() > 50
        assert imputed.loc[filled, [name, f"uncertainty_{name}"]].notna().all(axis=None)
        assert imputed.loc[~filled, f"uncertainty_{name}"].isna().all()
    measured = served.frame.dropna(subset=NAMES, how="all").drop_duplicates(["series", "time"], keep="last")
    measured = measured.assign(time=pd.to_datetime(measured["time"], unit="ms", utc=True))
    both = measured.merge(imputed, on=["series", "time"], suffixes=("", "_there"))
    assert len(both) == len(measured)
    for name in NAMES:
        there = both[name].notna()
        np.testing.assert_allclose(both.loc[there, f"{name}_there"], both.loc[there, name], rtol=1e-6)
