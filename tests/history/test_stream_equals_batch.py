"""Scores that were published equal those of `streamae score`, on both stores and in both forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from streamae.detection.windows import phase
from streamae.training import files
from tests.graphs import tiny_artifact
from tests.real.stream_equals_batch import compare, published, score
from tests.serving.stand import CADENCE_MS, Stand, at

Log = list[tuple[str, int, float | None]]
LOG: Log = [(f"pump-{pump}", tick, float(np.sin(tick * pump) * 3)) for tick in range(90) for pump in (1, 2, 3)]
LOG = [one for one in LOG if not (one[0] == "pump-2" and 40 <= one[1] < 60)]  # a gap
LOG = [one for one in LOG if not (one[0] == "pump-3" and one[1] > 20)]  # one that ends early


def readings_file(folder: Path, log: Log) -> Path:
    """The same readings as a file."""
    columns = {"series": [name for name, _, _ in log], "time": [at(tick) for _, tick, _ in log]}
    values = [np.nan if value is None else value for _, _, value in log]
    frame = pd.DataFrame({**columns, "channel-0": values, "channel-1": values})
    frame.to_parquet(folder / "live.parquet")
    return folder / "live.parquet"


def compared(stand: Stand, log: Log) -> dict[str, object]:
    """Serve a log and score it, by a model that is told the hour."""
    stand.champion(tiny_artifact(centres={"pump-1": 0.5}, thresholds={"pump-2": 2.0}, derived=["@day.sin"]))
    stand.publish(log)
    stand.serve_all()
    path = stand.folder / "streamae.toml"
    path.write_text(stand.toml())
    return compare(stand.config, score(path, readings_file(stand.folder, log)))


@pytest.mark.parametrize("form", ["packed", "json"])
def test_what_is_published_is_what_is_scored(tmp_path: Path, form: str) -> None:
    changes: dict[str, dict[str, Any]] = {"serving": {"scores": form}, "windows": {"lateness_s": 2.0}}
    stand = Stand(f"embedded://{tmp_path / 'topics.db'}", "plant", tmp_path, partitions=1, changes=changes)
    log = [*LOG, ("pump-1", 90, None), ("pump-1", 91, None), ("pump-1", 92, None), ("pump-1", 93, None)]
    found = compared(stand, log)
    assert found["equal"] and found["difference"] == 0.0
    assert found["both"] == len(published(stand.config)) > 90
    last = {"pump-1": 93, "pump-2": 89}  # the newest ticks; lateness holds back two of them, and the file ends with 93
    unclosed = [end for name, tick in last.items() for end in ends(name, 94) if end > tick - 2 and end - 4 <= tick]
    assert found["only_batch"] == found["unclosed"] == len(unclosed) > 0
    stand.close()


def ends(name: str, last: int) -> list[int]:
    """The ends of a series' windows, in ticks of the log, up to one."""
    window, begin = tiny_artifact().manifest.window, at(0) // CADENCE_MS
    offset = begin - window.length - phase(name, window.stride)
    return [tick for tick in range(last + 1) if (tick + offset) % window.stride == 0]


def test_what_differs_is_found(tmp_path: Path) -> None:
    stand = Stand(f"embedded://{tmp_path / 'topics.db'}", "plant", tmp_path, partitions=2)
    assert compared(stand, LOG)["equal"]
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    early = scores["start"] < scores["start"].min() + pd.Timedelta(40, "s")
    loud = early & (scores["score"] > 1.5)
    for change, key, value in (
        (scores.assign(score=scores["score"] * (1 + 1e-4)), "flips", 0),
        (scores.assign(score=scores["score"].where(~loud, 0.5)), "flips", loud.sum()),
        (scores[~loud], "only_live", loud.sum()),
    ):
        change.to_parquet(tmp_path / "changed.parquet")
        found = compare(stand.config, tmp_path / "changed.parquet")
        assert not found["equal"] and found[key] == value
    live = files.read([str(tmp_path / "live.parquet")], ["channel-0", "channel-1"])
    assert set(live.names) == {"pump-1", "pump-2", "pump-3"}
    stand.close()


@pytest.mark.parametrize("form", ["packed", "json"])
def test_it_holds_on_a_real_broker(
    kafka_address: str, topic_name: Callable[[str], str], tmp_path: Path, form: str
) -> None:
    stand = Stand(f"kafka://{kafka_address}", topic_name("equal"), tmp_path, changes={"serving": {"scores": form}})
    found = compared(stand, LOG)
    assert found["equal"] and found["difference"] == 0.0 and found["both"]
    stand.close()
