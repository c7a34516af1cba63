"""TOML text -> a frozen struct, checked by its types. All faults are found at once, each with its path and its cure."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

import msgspec

from streamae.errors import ConfigError

Struct = TypeVar("Struct", bound=msgspec.Struct)


def read(text: str, kind: type[Struct], environment: Mapping[str, str]) -> Struct:
    """The struct that `text` holds, `${NAME}` replaced from `environment`. Raises ConfigError with a line a fault."""
    faults: list[str] = []
    try:
        raw = _filled(tomllib.loads(text), "$", environment, faults)
    except (ValueError, RecursionError) as error:  # of thousands of digits, or nested a thousand deep
        raise ConfigError(f"not TOML: {error}") from error
    faults += _faults(raw, kind, "$")
    if faults:
        raise ConfigError("\n".join(faults))
    return msgspec.convert(raw, kind)


def _filled(value: Any, path: str, environment: Mapping[str, str], faults: list[str]) -> Any:
    """`${NAME}` in strings becomes the variable's value."""
    if isinstance(value, dict):
        return {key: _filled(inner, f"{path}.{key}", environment, faults) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, f"{path}[{at}]", environment, faults) for at, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    names = re.findall(r"\$\{(\w+)\}", value)
    faults += [f"{path}: the environment variable {name} is not set" for name in names if name not in environment]
    return re.sub(r"\$\{(\w+)\}", lambda match: environment.get(match[1], match[0]), value)


def _faults(raw: Any, kind: Any, path: str) -> list[str]:
    """Every fault of one value; of a section: its keys, then each key's value, then what holds between them."""
    found: list[str] = []
    kind = _member(raw, kind)
    if isinstance(raw, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        known = {*fields, kind.__struct_config__.tag_field}
        found += (f"{path}: unknown key `{key}`; {_cure(key, [*fields])}" for key in raw if key not in known)
        found += (f"{path}: `{key}` is missing" for key, field in fields.items() if field.required and key not in raw)
        for key in (key for key in raw if key in fields):
            found += _faults(raw[key], fields[key].type, f"{path}.{key}")
    return found or list(_refusal(raw, kind, path))


def _member(raw: Any, kind: Any) -> Any:
    """Of the sections that a table may be, the one that it says it is; else what it may be, as it is."""
    for one in get_args(kind):
        house = getattr(one, "__struct_config__", None)
        if house and isinstance(raw, dict) and raw.get(house.tag_field) == house.tag:
            return one
    return kind


def _refusal(raw: Any, kind: Any, path: str) -> Iterator[str]:
    try:
        msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        yield f"{path}{where.rstrip('`')}: {reason}"


def _cure(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
