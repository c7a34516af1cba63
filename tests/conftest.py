"""What all tests share: a broker for the session, fresh names, and modules that are imported anew."""

import sys
from collections.abc import Callable

import pytest

from tests.kafka.fixtures import *  # noqa: F403


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that has a package imported anew in a test; after it, what was imported before is back."""

    def forgotten(package: str) -> None:
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            monkeypatch.delitem(sys.modules, name)
        parent, _, own = package.rpartition(".")
        monkeypatch.delattr(sys.modules[parent], own, raising=False)

    return forgotten
