"""Stored readings from files and frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from streamae.errors import DataError
from streamae.training.files import read, table


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"time": [1000, 2000], "heat": [1.5, None], "flow": [3, 4]})
    frame.to_parquet(tmp_path / "m1.parquet")
    frame.to_csv(tmp_path / "m2.csv", index=False)
    both = read([str(tmp_path / "*.parquet"), str(tmp_path / "m2.csv")], ["flow", "heat"])
    assert both.names == ("m1", "m2")
    assert both.series.tolist() == [0, 0, 1, 1]
    assert both.time.tolist() == [1000, 2000] * 2
    np.testing.assert_array_equal(both.values, [[3, 1.5], [4, np.nan]] * 2)


def test_one_series_may_be_spread_over_files(tmp_path: Path) -> None:
    for day in (1, 2):
        pd.DataFrame({"time": [day], "series": ["m1"], "heat": [day]}).to_csv(tmp_path / f"{day}.csv", index=False)
    assert read([str(tmp_path / "*.csv")], ["heat"]).names == ("m1",)


@pytest.mark.parametrize(
    "time",
    [
        [1_700_000_000_000, 1_700_000_001_000],
        ["2023-11-14T22:13:20", "2023-11-14T23:13:21+01:00"],
        pd.to_datetime(["2023-11-14 22:13:20", "2023-11-14 22:13:21"]),
        pd.to_datetime(["2023-11-14 22:13:20", "2023-11-14 22:13:21"]).tz_localize("UTC").astype("datetime64[s, UTC]"),
        pd.to_datetime(["2023-11-14 23:13:20", "2023-11-14 23:13:21"]).tz_localize("Europe/Paris"),
    ],
)
def test_times_in_every_form(time: object) -> None:
    frame = pd.DataFrame({"time": time, "heat": [1.0, 2.0]})
    assert table(frame, ["heat"]).time.tolist() == [1_700_000_000_000, 1_700_000_001_000]


def test_a_time_index_will_do() -> None:
    frame = pd.DataFrame({"heat": [1.0]}, index=pd.to_datetime(["2023-11-14 22:13:20"]))
    assert table(frame, ["heat"]).time.tolist() == [1_700_000_000_000]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ({"time": [1], "flow": [1]}, "no column heat"),
        ({"time": [], "heat": []}, "holds no readings"),
        ({"heat": [1.0]}, "neither a column `time` nor a time index"),
        ({"time": ["yesterday"], "heat": [1.0]}, "neither a time nor ms"),
        ({"time": ["2023-11-14", None], "heat": [1.0, 2.0]}, "row 1 has no time"),
        ({"time": [1], "heat": ["warm"]}, "channel heat holds what is not a number"),
        ({"time": [1, 2], "series": ["a", None], "heat": [1, 2]}, "row 1 names no series"),
    ],
)
def test_what_cannot_be_read_is_named(frame: dict[str, list[object]], says: str) -> None:
    with pytest.raises(DataError, match=says):
        table(pd.DataFrame(frame), ["heat"])


def test_files_that_are_not_there_or_not_readings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file matches"):
        read([str(tmp_path / "*.csv")], ["heat"])
    for name in ("a.txt", "b.parquet"):
        (tmp_path / name).write_text("no")
        with pytest.raises(DataError, match=f"{name}.*(neither Parquet|cannot be read)"):
            read([str(tmp_path / name)], ["heat"])
