"""A guard: code of the product that is there because of a fault of Kafka, of kafka-python or of the world around; or
what makes an objective what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, eq=False)
class Guard:
    """What it guards against, where it is, and the tests that hold it there."""

    against: str  # the fault; P-numbers are those of the list of kafka-python's known faults
    file: str
    without: Mapping[str, str]  # code that is the guard -> what stands there without it
    tests: tuple[str, ...]  # each fails without it
    how: str = (
        "AssertionError|^assert |DID NOT RAISE"  # what they say then (a pattern): a busy machine says other things
    )
    hangs: bool = False  # whether they fail by waiting for ever

    def remove(self, tree: Path) -> None:
        """Take the guard out of a copy of the tree."""
        path = tree / self.file
        text = path.read_text()
        for code, instead in self.without.items():
            if text.count(code) != 1:
                raise ValueError(f"{self.against}: {self.file} holds {code!r} {text.count(code)} times, not once")
            text = text.replace(code, instead)
        compile(text, str(path), "exec")
        path.write_text(text)
