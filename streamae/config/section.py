"""What all sections of a config share: house rules, and the kinds of value with their limits."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from streamae.detection.manifest import LONGEST_MS

AGES_S = LONGEST_MS / 1000
Share = Annotated[float, Meta(gt=0, lt=1)]
Seconds = Annotated[float, Meta(ge=0, le=AGES_S)]
Count = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """House rules of every section: frozen, by name, unknown keys refused."""
