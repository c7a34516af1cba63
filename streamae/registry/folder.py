"""How processes share a folder: one at a time changes it, and what can be seen in it is whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from streamae.errors import RegistryError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time changes a folder; who dies lets go. Faults of the file system become RegistryError."""
    with usable(folder), locked(folder, ".lock"):
        yield


@contextmanager
def locked(folder: Path, name: str, busy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of this name; `busy` is called where another process does, before its end is waited for."""
    with ExitStack() as held:
        with usable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((folder / name).open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy()
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Faults of the file system in the registry's words."""
    try:
        yield
    except OSError as error:
        raise RegistryError(
            f"{error.filename or folder}: {error.strerror}; the registry must be a folder "
            "that this process may read, and write where it registers or promotes"
        ) from error


def replace(path: Path, data: bytes) -> None:
    """Write a file aside and put it in the place of the old one, all at once; whoever calls is alone."""
    aside = path.with_name(f".{path.name}")
    try:
        write(aside, data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync(path.parent)


def write(path: Path, data: bytes) -> None:
    """Write a file that a power cut does not undo."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Let a power cut not undo what was created or renamed in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what a process that died left aside; whoever calls is alone."""
    for path in (*folder.glob(".new-*"), *folder.glob(".old-*")):
        shutil.rmtree(path)
