"""Stored readings from files and frames, good and bad."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamae.errors import DataError
from streamae.training.files import Table, read, table

MS = 1_700_000_000_000
NAIVE = datetime.datetime(2023, 11, 14, 22, 13, 20)
AWARE = NAIVE.replace(tzinfo=datetime.UTC)


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"time": [MS, MS + 1], "heat": [1.5, None], "flow": [3, 4], "label": ["x", "y"]})
    frame.to_parquet(tmp_path / "m1.parquet")
    frame.to_csv(tmp_path / "m2.csv", index=False)
    both = read([str(tmp_path / "*.parquet"), str(tmp_path / "m2.csv")], ["flow", "heat"])
    assert both.names == ("m1", "m2")
    assert both.series.tolist() == [0, 0, 1, 1]
    assert both.time.tolist() == [MS, MS + 1] * 2
    np.testing.assert_array_equal(both.values, [[3, 1.5], [4, np.nan]] * 2)


def test_one_series_may_be_spread_over_files(tmp_path: Path) -> None:
    for day in (1, 2):
        one = {"time": [MS + day], "series": ["m1"], "heat": [day]}
        pd.DataFrame(one).to_csv(tmp_path / f"{day}.csv", index=False)
    assert read([str(tmp_path / "*.csv")], ["heat"]).names == ("m1",)


@pytest.mark.parametrize(
    "time",
    [
        [MS, MS + 1000],
        [MS + 0.7, MS + 1000.2],
        [str(MS), str(MS + 1000)],
        pd.array([MS, MS + 1000], dtype="Int64"),
        pd.Series([MS, MS + 1000], dtype=object),
        ["2023-11-14T22:13:20", "2023-11-14T23:13:21+01:00"],
        pd.array(["2023-11-14 22:13:20Z", "2023-11-14 17:13:21-05:00"], dtype="string"),
        pd.to_datetime(["2023-11-14 22:13:20", "2023-11-14 22:13:21"]),
        pd.to_datetime(["2023-11-14 22:13:20", "2023-11-14 22:13:21"]).tz_localize("UTC").astype("datetime64[s, UTC]"),
        pd.to_datetime(["2023-11-14 23:13:20", "2023-11-14 23:13:21"]).tz_localize("Europe/Paris"),
        pd.Series([NAIVE, AWARE + datetime.timedelta(seconds=1)], dtype=object),
        pd.Series(
            [AWARE, AWARE + datetime.timedelta(seconds=1)], dtype=pd.ArrowDtype(pa.timestamp("us", "Europe/Paris"))
        ),
    ],
)
def test_times_in_every_form(time: object) -> None:
    frame = pd.DataFrame({"time": time, "heat": [1.0, 2.0]})
    assert table(frame, ["heat"]).time.tolist() == [MS, MS + 1000]


@pytest.mark.parametrize(
    "text",
    [
        "1700000000000,1700000000500",
        "1.7e12,1700000000500.0",
        "2023-11-14 22:13:20,2023-11-14 22:13:20.5",
        "2023-11-14T22:13:20Z,2023-11-14T23:13:20.5+01:00",
        "2023-11-14T22:13:20,2023-11-14T22:13:20.5Z",
    ],
)
def test_times_of_a_csv_file(tmp_path: Path, text: str) -> None:
    first, second = text.split(",")
    (tmp_path / "m.csv").write_text(f"time,heat\n{first},1\n{second},2\n")
    assert read([str(tmp_path / "m.csv")], ["heat"]).time.tolist() == [MS, MS + 500]


@pytest.mark.parametrize("name", [None, "measured"])
def test_a_time_index_will_do_whatever_its_name(name: str | None) -> None:
    frame = pd.DataFrame({"heat": [1.0]}, index=pd.DatetimeIndex(["2023-11-14 22:13:20"], name=name))
    assert table(frame, ["heat"]).time.tolist() == [MS]


def test_time_and_series_may_be_in_the_index(tmp_path: Path) -> None:
    frame = pd.DataFrame({"time": [MS, MS], "series": ["b", "a"], "heat": [1.0, 2.0]})
    frame.set_index(["series", "time"]).to_parquet(tmp_path / "both.parquet")
    for found in (table(frame.set_index("time"), ["heat"]), read([str(tmp_path / "both.parquet")], ["heat"])):
        assert (found.names, found.series.tolist(), found.time.tolist()) == (("a", "b"), [1, 0], [MS, MS])


@pytest.mark.parametrize(
    ("series", "names"),
    [
        ([7, 10, 7], ("10", "7")),
        ([7.0, 10.0, 7.0], ("10", "7")),
        (pd.Series([7, b"10", "7"], dtype=object), ("10", "7")),
        (pd.Categorical(["b", "a", "b"], categories=["unused", "b", "a"]), ("a", "b")),
        (pd.Series(["b", "a", "b"], dtype=pd.ArrowDtype(pa.string())), ("a", "b")),
    ],
)
def test_series_have_the_names_that_they_have_live(series: object, names: tuple[str, str]) -> None:
    found = table(pd.DataFrame({"time": [MS] * 3, "series": series, "heat": [1.0, 2, 3]}), ["heat"])
    assert (found.names, found.series.tolist()) == (names, [1, 0, 1])


def test_a_csv_file_keeps_the_zeros_of_a_series_and_every_digit(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"\ufefftime,series,heat\n{MS},007,1000000000001.25\n{MS},NA,\n")
    found = read([str(tmp_path / "m.csv")], ["heat"])
    assert found.names == ("007", "NA")
    np.testing.assert_array_equal(found.values, [[1_000_000_000_001.25], [np.nan]])


@pytest.mark.parametrize(
    "values", [pd.array([1.5, None], dtype="Float64"), pd.Series([Decimal("1.5"), None], dtype=object), [1.5, "nan"]]
)
def test_numbers_in_every_form(values: object) -> None:
    frame = pd.DataFrame({"time": [MS, MS], "heat": values})
    np.testing.assert_array_equal(table(frame, ["heat"]).values, [[1.5], [np.nan]])


DEFECTS: list[tuple[dict[str, Any], str]] = [
    ({}, "no column heat; it has no columns"),
    ({"time": [MS], "flow": [1]}, "no column heat; it has time, flow"),
    ({"time": [], "heat": []}, "holds no readings"),
    ({"heat": [1.0]}, "neither a column `time` nor a time index; add one of them to heat"),
    ({"time": ["yesterday"], "heat": [1.0]}, "neither a time nor ms"),
    ({"time": [MS, "yesterday"], "heat": [1.0, 2.0]}, "neither a time nor ms"),
    ({"time": ["9999-12-31"], "heat": [1.0]}, "neither a time nor ms"),
    ({"time": [True, False], "heat": [1.0, 2.0]}, "neither a time nor ms"),
    ({"time": pd.to_timedelta([1, 2], unit="s"), "heat": [1.0, 2.0]}, "neither a time nor ms"),
    ({"time": ["2023-11-14", None], "heat": [1.0, 2.0]}, "row 1 has no time"),
    ({"time": pd.Series([MS, None], dtype=object), "heat": [1.0, 2.0]}, "row 1 has no time"),
    ({"time": [MS, np.nan], "heat": [1.0, 2.0]}, "row 1 has no time"),
    ({"time": [MS, np.inf], "heat": [1.0, 2.0]}, "row 1 has an infinite time"),
    ({"time": [1.7e9], "heat": [1.0]}, "like 1700000000, which are no ms .* look like s; multiply them by 1000"),
    ({"time": [MS * 1000], "heat": [1.0]}, "look like us; multiply them by 0.001"),
    ({"time": [MS * 10**6], "heat": [1.0]}, "look like ns; multiply them by 1e-06"),
    ({"time": [1, 2], "heat": [1.0, 2.0]}, "no ms since 1970: write those, or timestamps"),
    ({"time": [MS], "heat": ["warm"]}, "channel heat holds what is not a number .*'warm'"),
    ({"time": [MS], "heat": [True]}, "channel heat .* of the type bool"),
    ({"time": [MS], "heat": [1j]}, "channel heat .* of the type complex"),
    ({"time": [MS], "heat": pd.to_datetime(["2023"])}, "channel heat .* of the type datetime"),
    ({"time": [MS], "heat": [[1, 2]]}, "channel heat holds what is not a number"),
    ({"time": [MS], "heat": pd.Series([10**400], dtype=object)}, "channel heat .* too large"),
    ({"time": [MS, MS], "series": ["a", None], "heat": [1, 2]}, "row 1 names no series"),
    ({"time": [MS, MS], "series": ["a", ""], "heat": [1, 2]}, "row 1 names no series"),
    ({"time": [MS], "series": [["a"]], "heat": [1]}, "`series` holds what is no name"),
]


@pytest.mark.parametrize(("frame", "says"), DEFECTS)
def test_what_cannot_be_read_is_named(frame: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=f"^frame: .*{says}"):
        table(pd.DataFrame(frame), ["heat"])


def test_a_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(DataError, match="more than one column heat; it has time, heat, heat"):
        table(pd.DataFrame([[MS, 1.0, 2.0]], columns=["time", "heat", "heat"]), ["heat"])


GOOD = f"time,series,heat\n{MS},a,1\n"
BROKEN: list[tuple[str, bytes, str]] = [
    ("csv", b"", "Empty CSV file"),
    ("csv", (GOOD + f"{MS},a\n").encode(), "Row #3: Expected 3 columns, got 2"),
    ("csv", (GOOD + f"{MS},a,1,9\n").encode(), "Row #3: Expected 3 columns, got 4"),
    ("csv", (GOOD + f"{MS},a,warm\n").encode(), "Row #3: .*'warm'"),
    ("csv", (GOOD + f"{MS},a,true\n").encode(), "Row #3: .*'true'"),
    ("csv", (GOOD + f"{MS},ü,1\n").encode("latin-1"), "invalid UTF8 .* it has to be UTF-8"),
    ("csv", GOOD.replace("time", "tüme").encode("latin-1"), "can't decode"),
    ("csv", (GOOD + ",a,1\n").encode(), "row 1 has no time"),
    ("csv", GOOD.replace(",", ";").encode(), "no column heat; it has time;series;heat"),
    ("csv", GOOD.replace("series", "heat").encode(), "more than one column heat"),
    ("csv", b"time,series,heat\n", "no file holds readings"),
    ("parquet", b"", "cannot be read .*0 bytes.* remove it or write it anew"),
    ("parquet", GOOD.encode(), "cannot be read .* it has to be a Parquet file"),
    ("txt", GOOD.encode(), "is neither Parquet nor CSV"),
]


@pytest.mark.parametrize(("kind", "content", "says"), BROKEN)
def test_a_broken_file_among_good_ones_is_named(tmp_path: Path, kind: str, content: bytes, says: str) -> None:
    (tmp_path / f"broken.{kind}").write_bytes(content)
    with pytest.raises(DataError, match=f"broken.{kind}: .*{says}"):
        read([str(tmp_path / "broken.*")], ["heat"])
    (tmp_path / "good.csv").write_text(GOOD)
    if "no file holds readings" in says:  # a day without readings is no fault
        assert len(read([str(tmp_path / "*.csv")], ["heat"])) == 1
        return
    with pytest.raises(DataError, match=f"broken.{kind}: .*{says}"):
        read([str(tmp_path / "*.*")], ["heat"])


def test_a_file_of_another_schema_among_good_ones_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(GOOD)
    pd.DataFrame({"time": [MS], "temperature": [1.0]}).to_parquet(tmp_path / "new.parquet")
    with pytest.raises(DataError, match=r"new.parquet: no column heat; it has time, temperature. Name the channels in"):
        read([str(tmp_path / "*")], ["heat"])


def test_a_file_cut_or_damaged_anywhere_is_refused_or_read(tmp_path: Path) -> None:
    """A write that was cut off never looks like a whole file; of other damage only the kind of error is certain."""
    frame = pd.DataFrame({"time": MS + np.arange(40), "heat": np.arange(40.0), "series": ["a", "b"] * 20})
    path = tmp_path / "m.parquet"
    frame.to_parquet(path)
    good, rng = path.read_bytes(), random.Random(0)
    for end in range(0, len(good), 61):
        path.write_bytes(good[:end])
        with pytest.raises(DataError, match=r"m\.parquet: cannot be read"):
            read([str(path)], ["heat"])
    for _ in range(300):
        at = rng.randrange(len(good))
        path.write_bytes(good[:at] + bytes([rng.randrange(256)]) + good[at + 1 :])
        try:
            assert len(read([str(path)], ["heat"])) <= 40
        except DataError as error:
            assert "m.parquet" in str(error)


def test_patterns_that_name_no_file(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(GOOD)
    for patterns, says in (
        ([], r"nothing to train on: .* \$.training.files, .* \$.training.topic_days"),
        (["good.csv", "*.parquet"], r"no file matches .*\*.parquet"),
        ([""], r"is a folder; name the files in it, as .*/\*.parquet"),
        (["**.csv"], "no pattern of files"),
    ):
        with pytest.raises(DataError, match=says):
            read([str(tmp_path / one) for one in patterns], ["heat"])


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "pump[7].csv").write_text(GOOD)
    assert len(read([str(tmp_path / "pump[7].csv")], ["heat"])) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=30), st.integers(0, 9), st.integers(0, 9))
def test_the_readings_between_two_times(rows: list[tuple[int, int]], start: int, end: int) -> None:
    names, time = ("a", "b", "c", "d"), np.array([time for _, time in rows], np.int64)
    whole = Table(names, np.array([one for one, _ in rows], np.int64), time, time[:, None].astype(np.float64))
    part = whole.between(start, end)
    kept = [(names[series], time) for series, time in rows if start <= time < end]
    assert [(part.names[series], at) for series, at in zip(part.series, part.time.tolist(), strict=True)] == kept
    assert part.values[:, 0].tolist() == [time for _, time in kept]
    assert len(kept) == len(rows) or part.names == tuple(sorted({name for name, _ in kept}))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_may_call_time_and_series_what_it_likes(tmp_path: Path, suffix: str) -> None:
    own = pd.DataFrame({"when": ["2026-01-01T00:00:00Z"], "pump": ["007"], "heat": [3.0], "time": ["noon"]})
    path = tmp_path / f"own.{suffix}"
    own.to_csv(path, index=False) if suffix == "csv" else own.to_parquet(path)
    found = read([str(path)], ["heat"], {"when": "time", "pump": "series"})
    assert (found.names, found.time.tolist(), found.values.tolist()) == (("007",), [1_767_225_600_000], [[3.0]])
    with pytest.raises(DataError, match=r"which of them it is"):
        read([str(path)], ["heat"], {"noon": "time", "pump": "series"})
