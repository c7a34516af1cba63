"""Artifacts: the first byte chooses what is replaced. All is signed, as one who means harm would sign it."""

from __future__ import annotations

import hashlib
import io
import zipfile

import msgspec

from streamae.detection.artifact import FILES, Artifact
from streamae.detection.manifest import MANIFEST, Manifest
from streamae.errors import ArtifactError
from tests.graphs import tiny_artifact
from tests.hostile.contracts.contract import Contract

ARTIFACT = tiny_artifact(centres={"pump-1": 5.0, "Pümpe 2": 7.0}, thresholds={"pump-1": 9.0})
FILES_OF = ARTIFACT.encode()
ARRAYS = {
    f"{name}/{member}": zipfile.ZipFile(io.BytesIO(FILES_OF[name])).read(member)
    for name in ("profiles.npz", "golden.npz")
    for member in zipfile.ZipFile(io.BytesIO(FILES_OF[name])).namelist()
}
PLACES = (MANIFEST, *FILES, "encoder.onnx", *ARRAYS)


def artifact(data: bytes) -> None:
    """Files are an artifact whose parts fit together, or an ArtifactError; and no more memory than they may take."""
    place, content = PLACES[(data[:1] or b"\0")[0] % len(PLACES)], data[1:]
    try:
        found = Artifact.decode(signed(place, content), "tiny@7")
    except ArtifactError as error:
        assert str(error).startswith("tiny@7: ")
        return
    manifest, profiles, golden = found.manifest, found.profiles, found.golden
    assert manifest.settled_smoothing >= 1 and manifest.channels and manifest.budget_per_week > 0
    assert profiles.rows(["pump-1", "valve"]).shape == (2, 3, len(manifest.channels))
    assert golden.windows.shape == (len(golden.error), manifest.window.length, len(manifest.channels))
    assert golden.channel_error.shape == (len(golden.settled_error), len(manifest.channels))
    assert Artifact.decode(found.encode()).manifest == found.manifest or place != MANIFEST


def signed(place: str, content: bytes) -> dict[str, bytes]:
    """The files of a good artifact, but for one place, with a manifest that agrees with them."""
    files, manifest = dict(FILES_OF), ARTIFACT.manifest
    if place == MANIFEST:
        try:
            manifest = msgspec.json.decode(content, type=Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {**files, MANIFEST: content}
    elif place in files:
        files[place] = content
    else:
        files[place.partition("/")[0]] = rezipped(place, content)
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in files if name != MANIFEST}
    encode = msgspec.json.Encoder(order="deterministic").encode
    manifest = msgspec.structs.replace(manifest, files=digests, digest="")
    manifest = msgspec.structs.replace(manifest, digest=hashlib.sha256(encode(manifest)).hexdigest())
    return {**files, MANIFEST: encode(manifest)}


def rezipped(place: str, content: bytes) -> bytes:
    """An archive with one array replaced."""
    name, out = place.partition("/")[0], io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as folder:
        for one, array in ARRAYS.items():
            if one.startswith(name):
                folder.writestr(one.partition("/")[2], content if one == place else array)
    return out.getvalue()


ARTIFACTS = Contract(
    artifact,
    tuple(bytes([at]) + ({**FILES_OF, **ARRAYS}[place]) for at, place in enumerate(PLACES)),
    (
        *b"'descr' '<f4' '<f8' '|O' '<U1' '>f4' 'shape' 'fortran_order' True (4,) (-1,) \x93NUMPY\x01\x00".split(),
        *(
            b"999999999999",
            b"PK\x03\x04",
            b"PK\x01\x02",
            b'"length":',
            b'"channels":[]',
            b"1e400",
            b"-1",
            b"null",
            b'""',
        ),
    ),
)
