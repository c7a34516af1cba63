"""One use on one series, as a process of its own runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benefits.cleaning import cleaned
from tests.benefits.filling import filled
from tests.benefits.making import made
from tests.benefits.series import real


def run(task: tuple[str, str, Path | None]) -> list[dict[str, Any]]:
    """The rows of a use ("clean", "impute", "generate") on the series of a family."""
    use, family, saits = task
    series = real(family)
    by: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "clean": lambda: cleaned(series),
        "impute": lambda: filled(series, saits),
        "generate": lambda: made(series),
    }
    return by[use]()
