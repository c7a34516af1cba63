"""An artifact's bytes prove themselves: what was encoded is decoded, and nothing else is."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamae.detection.artifact import FILES, MANIFEST, Artifact, Channel, Profiles, WindowSpec
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
    assert set(decoded.manifest.files) == set(FILES)


def test_equal_artifacts_are_equal_bytes() -> None:
    assert tiny_artifact().encode() == tiny_artifact().encode()
    assert Artifact.decode(FILES_OF).encode() == FILES_OF


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([MANIFEST, *FILES]), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_single_changed_byte_is_refused_by_the_name_of_its_file(name: str, where: float, flip: int) -> None:
    data = bytearray(FILES_OF[name])
    data[int(where * len(data))] ^= flip
    with pytest.raises(ArtifactError, match=name):
        Artifact.decode({**FILES_OF, name: bytes(data)})


@pytest.mark.parametrize("name", [MANIFEST, *FILES])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: data + b" "])
def test_a_file_that_was_cut_or_grew_is_refused_by_name(name: str, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ArtifactError, match=f"pumps@3: {name}"):
        Artifact.decode({**FILES_OF, name: damage(FILES_OF[name])}, "pumps@3")


@pytest.mark.parametrize("name", [MANIFEST, *FILES])
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
    artifact, folder = tiny_artifact(), io.BytesIO()
    np.savez(folder, windows=np.array([{"a": "pickle"}], object))
    with pytest.raises(ArtifactError, match=r"golden\.npz cannot be read .*allow_pickle"):
        Artifact.decode(signed({**artifact.encode(), "golden.npz": folder.getvalue()}, artifact))


def signed(files: dict[str, bytes], artifact: Artifact) -> dict[str, bytes]:
    """Files with a manifest that agrees with them, as one who means harm would write it."""
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in FILES}
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
    artifact, folder = tiny_artifact(), io.BytesIO()
    np.savez(folder, windows=np.zeros(3))
    with pytest.raises(ArtifactError, match=r"golden\.npz holds windows, not channel_error"):
        Artifact.decode(signed({**artifact.encode(), "golden.npz": folder.getvalue()}, artifact))
