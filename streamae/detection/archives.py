"""Archives: arrays in an .npz file. What is read is held against a layout before it is unpacked, so that an archive
that means harm can neither run code, nor fill the memory, nor bring arrays that fail later.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 2**30  # bytes that an archive may unpack to

Size = int | str  # a letter stands for one size, the same wherever it occurs


class Refused(ValueError):
    """An archive that is not what it should be."""


class Column(NamedTuple):
    """An array as it should be: text or float32, and its shape."""

    kind: str  # numpy's: U, f
    shape: tuple[Size, ...]


def pack(**arrays: NDArray[Any]) -> bytes:
    """Deterministic: the same arrays give the same bytes (numpy's own writer stamps the time of day)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as folder:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
            folder.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def unpack(data: bytes, layout: Mapping[str, Column]) -> dict[str, NDArray[Any]]:
    """The arrays of an archive. Raises Refused that says in what it differs from the layout."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as folder:
            members = {member.filename.removesuffix(".npy"): member for member in folder.infolist()}
            if set(members) != set(layout):
                raise Refused(f"holds {', '.join(sorted(members))}, not {', '.join(sorted(layout))}")
            size = sum(member.file_size for member in members.values())
            if size > MOST:
                raise Refused(f"would unpack to {size} bytes, of which {MOST} are allowed")
            found = {name: _array(_read(folder, members[name]), name, layout[name]) for name in layout}
    except Refused:
        raise
    except Exception as error:  # of many kinds, for the many ways in which an archive is none
        raise Refused(f"cannot be read ({error})") from error
    _check_shapes({name: array.shape for name, array in found.items()}, layout)
    return found


def _read(folder: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    # In full, but never more than it says: a plain read unpacks all that there is before it looks at that.
    with folder.open(member) as file:
        return file.read(member.file_size + 1)


def _array(data: bytes, name: str, column: Column) -> NDArray[Any]:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise Refused(f"cannot be read ({name} is of format {version}, not of (1, 0))")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind != column.kind or (dtype.kind == "f" and dtype != np.float32):
        raise Refused(f"cannot be read ({name} is of {dtype}, not of {'text' if column.kind == 'U' else 'float32'})")
    return np.ndarray(shape, dtype, data[stream.tell() :])


def _check_shapes(shapes: Mapping[str, tuple[int, ...]], layout: Mapping[str, Column]) -> None:
    sizes: dict[Size, int] = {}
    for name, shape in shapes.items():
        wanted = layout[name].shape
        known = [
            sizes.setdefault(size, found) if isinstance(size, str) else size
            for size, found in zip(wanted, shape, strict=False)
        ]
        if len(shape) != len(wanted) or list(shape) != known:
            raise Refused(f"cannot be used ({name} has the shape {list(shape)}, not {list(wanted)})")
