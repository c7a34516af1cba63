"""The struct that holds what a mapping asks of a JSON record, and no more."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from streamae.detection.readings import Mapping, parse_path


def row_type(
    wanted: dict[str, str], others: list[str], mapping: Mapping
) -> tuple[type[msgspec.Struct], dict[str, Callable[[Any], Any]]]:
    """A struct that holds just what the mapping asks for, and how to get each part out of it."""
    number = float | None
    kinds: dict[str, Any] = {
        "time": datetime | None if mapping.time_unit == "iso8601" else int | float | None,
        "series": str | int | None,
        "channel": str | int | None,
    }
    tree: dict[str, Any] = {}
    leaves = {parse_path(path): kinds.get(name, number) for name, path in wanted.items()}
    leaves = {parse_path(path): Any for path in others} | leaves
    for path, kind in leaves.items():
        branch = tree
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        branch[path[-1]] = kind
    return _struct(tree, mapping.strict and mapping.layout == "wide"), {
        name: _getter(parse_path(path), tree) for name, path in wanted.items()
    }


def _struct(tree: dict[str, Any], strict: bool) -> type[msgspec.Struct]:
    fields = [
        (f"f{at}", _struct(kind, strict) | None if isinstance(kind, dict) else kind, None)
        for at, kind in enumerate(tree.values())
    ]
    rename = {f"f{at}": key for at, key in enumerate(tree)}
    return msgspec.defstruct("Record", fields, rename=rename, forbid_unknown_fields=strict, gc=False)


def _getter(path: tuple[str, ...], tree: dict[str, Any]) -> Callable[[Any], Any]:
    fields = []
    for key in path:
        fields.append(f"f{list(tree).index(key)}")
        tree = tree[key]
    if len(fields) == 1:
        return operator.attrgetter(fields[0])

    def get(row: Any) -> Any:
        for field in fields:
            if row is None:
                return None
            row = getattr(row, field)
        return row

    return get
