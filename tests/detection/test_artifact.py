"""An artifact's bytes prove themselves: what was encoded is decoded, and nothing else is."""

from __future__ import annotations

import hashlib
import io
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamae.detection import archives
from streamae.detection.artifact import FILES, Artifact, Profiles
from streamae.detection.manifest import MANIFEST, Channel, WindowSpec
from streamae.errors import ArtifactError
from tests.graphs import tiny_artifact

FILES_OF = tiny_artifact(centres={"pump-1": 5.0, "Pümpe 2": 7.0}, thresholds={"pump-1": 9.0}).encode()


def test_what_is_encoded_is_decoded() -> None:
    artifact = tiny_artifact(centres={"pump-1": 5.0}, origins=[1e12, 0.5])
    decoded = Artifact.decode(artifact.encode())
    assert (decoded.model, decoded.full) == (artifact.model, artifact.full)
    assert decoded.profiles.series == ("pump-1",)
    np.testing.assert_array_equal(decoded.profiles.table, artifact.profiles.table)
    for name, column in vars(artifact.golden).items():
        np.testing.assert_array_equal(getattr(decoded.golden, name), column)
    blank = msgspec.structs.replace(decoded.manifest, files={}, digest="")
    assert blank == artifact.manifest
    assert set(decoded.manifest.files) == {*FILES, "encoder.onnx", "repair.npz"}
    assert (decoded.encoder, decoded.decoder) == (artifact.encoder, b"")


def test_equal_artifacts_are_equal_bytes() -> None:
    assert tiny_artifact().encode() == tiny_artifact().encode()
    assert Artifact.decode(FILES_OF).encode() == FILES_OF


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([MANIFEST, *FILES, "encoder.onnx"]), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_single_changed_byte_is_refused_by_the_name_of_its_file(name: str, where: float, flip: int) -> None:
    data = bytearray(FILES_OF[name])
    data[int(where * len(data))] ^= flip
    with pytest.raises(ArtifactError, match=name):
        Artifact.decode({**FILES_OF, name: bytes(data)})


@pytest.mark.parametrize("name", [MANIFEST, *FILES, "encoder.onnx"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: data + b" "])
def test_a_file_that_was_cut_or_grew_is_refused_by_name(name: str, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ArtifactError, match=f"pumps@3: {name}"):
        Artifact.decode({**FILES_OF, name: damage(FILES_OF[name])}, "pumps@3")


@pytest.mark.parametrize("name", [MANIFEST, *FILES, "encoder.onnx"])
def test_a_missing_file_is_named(name: str) -> None:
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        Artifact.decode({other: data for other, data in FILES_OF.items() if other != name})


@pytest.mark.parametrize("manifest", [b"[]", b"null", b"{}", b'{"contract":null}', b"\xff", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(manifest: bytes) -> None:
    with pytest.raises(ArtifactError, match=MANIFEST):
        Artifact.decode({**FILES_OF, MANIFEST: manifest})


def test_a_foreign_contract_is_refused_with_the_cure() -> None:
    foreign = FILES_OF[MANIFEST].replace(b'"contract":1', b'"contract":2')
    with pytest.raises(ArtifactError, match="speaks contract 2, this StreamAE speaks 1; train the model again"):
        Artifact.decode({**FILES_OF, MANIFEST: foreign})


def test_facts_that_were_edited_are_refused() -> None:
    edited = FILES_OF[MANIFEST].replace(b'"error":4.0', b'"error":400.0')
    assert edited != FILES_OF[MANIFEST]
    with pytest.raises(ArtifactError, match="was edited"):
        Artifact.decode({**FILES_OF, MANIFEST: edited})


def test_no_pickle_is_ever_loaded() -> None:
    artifact = tiny_artifact()
    arrays = {**vars(artifact.golden), "error": np.array([{"a": "pickle"}], object)}
    with pytest.raises(ArtifactError, match=r"golden\.npz cannot be read \(error is of object, not of float32\)"):
        Artifact.decode(signed({**artifact.encode(), "golden.npz": savez(**arrays)}, artifact))


def savez(**arrays: Any) -> bytes:
    folder = io.BytesIO()
    np.savez_compressed(folder, **arrays)
    return folder.getvalue()


def signed(files: dict[str, bytes], artifact: Artifact) -> dict[str, bytes]:
    """Files with a manifest that agrees with them, as one who means harm would write it."""
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in files if name != MANIFEST}
    manifest = msgspec.structs.replace(artifact.manifest, files=digests, digest="")
    encode = msgspec.json.Encoder(order="deterministic").encode
    manifest = msgspec.structs.replace(manifest, digest=hashlib.sha256(encode(manifest)).hexdigest())
    return {**files, MANIFEST: encode(manifest)}


def test_a_series_that_is_unknown_has_the_fleets_profile() -> None:
    table = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    rows = Profiles(("pump-1",), table).rows(["valve", "pump-1", ""])
    np.testing.assert_array_equal(rows, table[[0, 1, 0]])


@pytest.mark.parametrize(
    ("length", "stride", "cadence_ms", "wrong"),
    [(1, 1, 1, "length"), (4, 0, 1, "stride"), (4, 5, 1, "stride"), (4, 2, 0, "cadence")],
)
def test_windows_that_make_no_sense_are_refused(length: int, stride: int, cadence_ms: int, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        WindowSpec(length=length, stride=stride, cadence_ms=cadence_ms)


def test_unknown_facts_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"name": "a", "colour": "red"}, Channel)


def test_an_archive_with_other_arrays_is_refused_by_name() -> None:
    artifact = tiny_artifact()
    with pytest.raises(ArtifactError, match=r"golden\.npz holds windows, not channel_error"):
        Artifact.decode(signed({**artifact.encode(), "golden.npz": savez(windows=np.zeros(3))}, artifact))


def golden(**changes: Any) -> dict[str, bytes]:
    """A signed artifact with some golden arrays replaced."""
    artifact = tiny_artifact()
    return signed({**artifact.encode(), "golden.npz": savez(**{**vars(artifact.golden), **changes})}, artifact)


@pytest.mark.parametrize(
    ("name", "array", "fault"),
    [
        ("error", np.zeros(5), "error is of float64, not of float32"),
        ("error", np.array(["a"] * 5), "error is of <U1, not of float32"),
        ("error", np.zeros(5, ">f4"), "error is of >f4, not of float32"),
        ("error", np.zeros(4, np.float32), r"error has the shape \[4\], not \['B'\]"),
        ("profile", np.zeros((5, 3, 3), np.float32), r"profile has the shape \[5, 3, 3\], not \['B', 3, 2\]"),
        ("windows", np.zeros((5, 9, 2), np.float32), r"windows has the shape \[5, 9, 2\], not \['B', 4, 2\]"),
        ("windows", np.zeros((5, 8), np.float32), r"windows has the shape \[5, 8\], not \['B', 4, 2\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(name: str, array: Any, fault: str) -> None:
    with pytest.raises(ArtifactError, match=rf"tiny@1: golden\.npz cannot be (read|used) \({fault}\)"):
        Artifact.decode(golden(**{name: array}), "tiny@1")


def test_profiles_without_a_series_are_refused() -> None:
    artifact = tiny_artifact(centres={"pump-1": 5.0})
    archive = savez(series=np.array(["pump-1", "pump-2"]), table=artifact.profiles.table)
    with pytest.raises(ArtifactError, match=r"profiles\.npz has 2 profiles for the fleet and 2 series"):
        Artifact.decode(signed({**artifact.encode(), "profiles.npz": archive}, artifact))


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST", 300)
    with pytest.raises(ArtifactError, match=r"profiles\.npz would unpack to \d+ bytes, of which 300 are allowed"):
        Artifact.decode(FILES_OF)


def test_an_archive_that_lies_about_its_size_is_read_no_further() -> None:
    artifact, large = tiny_artifact(), np.zeros(2**25, np.float32)
    archive = savez(**{**vars(artifact.golden), "error": large})
    told = (large.nbytes + 128).to_bytes(4, "little")
    assert archive.count(told) == 2  # before the array, and in the directory
    lying = signed({**artifact.encode(), "golden.npz": archive.replace(told, (148).to_bytes(4, "little"))}, artifact)
    tracemalloc.start()
    with pytest.raises(ArtifactError, match=r"golden\.npz cannot be read"):
        Artifact.decode(lying)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize("shape", ["(99999999999,)", "(-5,)", "(True,)", "(5, 10**9)", "(" * 4000])
def test_a_shape_that_is_none_of_the_array_is_refused(shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(20)
    artifact, folder = tiny_artifact(), io.BytesIO(golden()["golden.npz"])
    with zipfile.ZipFile(folder) as before, zipfile.ZipFile(out := io.BytesIO(), "w") as after:
        for name in before.namelist():
            after.writestr(name, array if name == "error.npy" else before.read(name))
    with pytest.raises(ArtifactError, match=r"golden\.npz cannot be (read|used)"):
        Artifact.decode(signed({**artifact.encode(), "golden.npz": out.getvalue()}, artifact))


@pytest.mark.parametrize(
    "change",
    [
        b'"settled_smoothing":0',
        b'"settled_lag":-1',
        b'"budget_per_week":0.0',
        b'"channels":[]',
        b'"length":90000000000',
    ],
)
def test_facts_that_no_training_gives_are_refused(change: bytes) -> None:
    key = change.partition(b":")[0]
    edited = re.sub(key + rb":(\[.*?\]|[0-9.]+)", change, FILES_OF[MANIFEST], count=1)
    assert edited != FILES_OF[MANIFEST]
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged \((Expected|a window of 9e\+10 ticks)"):
        Artifact.decode({**FILES_OF, MANIFEST: edited})
