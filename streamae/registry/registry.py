"""Registry: the versions of artifacts, and who is champion. A folder that any number of processes share.

    <registry>/<model>/v0001/manifest.json, model.onnx, ...   immutable
    <registry>/<model>/champion.json                          the promotions, oldest first; the last one holds

What can be seen is whole: a version is written aside under a name with a dot and renamed, which fails where another
process was faster, and then the next number is tried; the pointer file is written aside and replaced. A version's
number is never given twice. Nothing here knows the time: `now_ms` is an argument.
"""

from __future__ import annotations

import dataclasses
import errno
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from streamae.detection.artifact import FILES, OPTIONAL, Artifact
from streamae.detection.manifest import MANIFEST, Facts
from streamae.errors import ArtifactError, RegistryError
from streamae.registry.folder import alone, locked, replace, sweep, sync, usable, write

POINTER = "champion.json"


class Promotion(Facts, frozen=True, kw_only=True):
    """A version became champion at `at_ms` since the epoch; `rollback`: because the one after it was taken back."""

    version: str
    at_ms: int
    why: str
    rollback: bool = False


class Pointer(Facts, frozen=True, kw_only=True):
    """The pointer file: every promotion there was."""

    promotions: tuple[Promotion, ...] = ()

    def champions(self) -> list[str]:
        """The champion, last, and those that rollbacks would go to, in turn."""
        stack: list[str] = []
        for promotion in self.promotions:
            stack = stack[:-1] if promotion.rollback else [*stack, promotion.version]
        return stack


class Registry:
    """The registry at `place`, a folder or a `file://` URL. What it cannot do raises RegistryError."""

    def __init__(self, place: str | Path) -> None:
        url = str(place)
        if "://" in url and not url.startswith("file://"):
            raise RegistryError(f"{url}: a registry is a folder; give its path")
        self.folder = Path(url.removeprefix("file://"))

    def models(self) -> list[str]:
        """The names of all models."""
        return sorted(_visible(self.folder))

    def versions(self, model: str) -> list[str]:
        """All versions of a model, oldest first."""
        return sorted(filter(_is_version, _visible(self._model(model))), key=_number)

    def champion(self, model: str) -> str | None:
        """The version that serves; None where nothing was promoted yet."""
        champions = self._pointer(model).champions()
        return champions[-1] if champions else None

    def promotions(self, model: str) -> tuple[Promotion, ...]:
        """Every change of champion, oldest first."""
        return self._pointer(model).promotions

    def load(self, model: str, version: str) -> Artifact:
        """One version, every byte checked. Raises ArtifactError that names the file that is damaged."""
        folder, versions = self._model(model) / version, self.versions(model)
        if version not in versions:
            raise RegistryError(f"{folder.parent}: no version {version!r}; there are {_listed(versions)}")
        with usable(folder):
            there = [name for name in (MANIFEST, *FILES, *OPTIONAL) if (folder / name).is_file()]
            files = {name: (folder / name).read_bytes() for name in there}
        artifact = Artifact.decode(files, where=str(folder))
        whose = f"{artifact.manifest.name} {artifact.manifest.version}"
        if whose != f"{model} {version}":
            raise ArtifactError(f"{folder}: {MANIFEST} is of {whose}; versions are registered, not copied into place")
        return artifact

    def register(self, artifact: Artifact) -> Artifact:
        """Keep an artifact as the next version of its model; returns it as `load` gives it."""
        model = artifact.manifest.name
        folder = self.folder / _safe(model)
        with alone(folder):
            number = max(map(_number, self.versions(model)), default=0) + 1
            while not _publish(folder, f"v{number:04}", _as_version(artifact, f"v{number:04}")):
                number += 1
        return self.load(model, f"v{number:04}")

    def promote(self, model: str, version: str, now_ms: int, why: str) -> None:
        """Make a version champion, once it has been read and found whole. Nothing happens where it is already."""
        self.load(model, version)
        with alone(self._model(model)):
            if self.champion(model) != version:
                self._point(model, Promotion(version=version, at_ms=now_ms, why=why))

    def rollback(self, model: str, now_ms: int, why: str) -> str:
        """Make the previous champion champion again, and return it; a second rollback goes further back."""
        with alone(self._model(model)):
            champions = self._pointer(model).champions()
            if len(champions) < 2:
                raise RegistryError(
                    f"{self.folder / model}: no champion before {champions[-1] if champions else 'the first'} "
                    f"to go back to; promote one of {_listed(self.versions(model))}"
                )
            self.load(model, champions[-2])
            self._point(model, Promotion(version=champions[-2], at_ms=now_ms, why=why, rollback=True))
        return champions[-2]

    def collect(self, model: str, keep: set[str]) -> list[str]:
        """Remove versions that nothing needs, and return them.

        Kept: the champion, the one before it, the newest version (its number must not be given again), and `keep`:
        challengers and versions that checkpoints name.
        """
        folder = self._model(model)
        with alone(folder):
            versions = self.versions(model)
            needed = {*self._pointer(model).champions()[-2:], *versions[-1:], *keep}
            removed = [version for version in versions if version not in needed]
            for version in removed:
                (folder / version).rename(folder / f".old-{version}")
            sweep(folder)
        return removed

    def training(self, model: str, busy: Callable[[], None]) -> AbstractContextManager[None]:
        """One process at a time trains a model; who dies lets go. `busy` is called where another one does.

        Unless `busy` raises, its end is waited for.
        """
        return locked(self.folder / _safe(model), ".training.lock", busy)

    def read(self, model: str, name: str) -> bytes | None:
        """A small file that is kept beside the versions; None where there is none."""
        path = self.folder / _safe(model) / name
        with usable(path):
            return path.read_bytes() if path.exists() else None

    def rewrite(self, model: str, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a small file beside the versions by what `change` makes of it, one process at a time."""
        folder = self.folder / _safe(model)
        with alone(folder):
            replace(folder / name, change(self.read(model, name)))

    def _model(self, model: str) -> Path:
        folder = self.folder / _safe(model)
        if not folder.is_dir():
            raise RegistryError(f"{self.folder}: no model {model!r}; there are {_listed(self.models())}")
        return folder

    def _pointer(self, model: str) -> Pointer:
        path = self.folder / _safe(model) / POINTER
        with usable(path):
            data = path.read_bytes() if path.exists() else b"{}"
        try:
            return msgspec.json.decode(data, type=Pointer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RegistryError(f"{path} is damaged ({error}); remove it and promote a version again") from error

    def _point(self, model: str, promotion: Promotion) -> None:
        folder = self.folder / model
        pointer = Pointer(promotions=(*self._pointer(model).promotions, promotion))
        replace(folder / POINTER, msgspec.json.format(msgspec.json.encode(pointer), indent=1))


def _as_version(artifact: Artifact, version: str) -> dict[str, bytes]:
    manifest = msgspec.structs.replace(artifact.manifest, version=version)
    return dataclasses.replace(artifact, manifest=manifest).encode()


def _publish(folder: Path, version: str, files: Mapping[str, bytes]) -> bool:
    """Make `files` visible as `version`, all at once; False where that version is already there."""
    sweep(folder)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    aside.chmod(0o755)
    for name, data in files.items():
        write(aside / name, data)
    sync(aside)
    try:
        aside.rename(folder / version)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    sync(folder)
    return True


def _visible(folder: Path) -> list[str]:
    with usable(folder):
        paths = folder.iterdir() if folder.exists() else ()
        return [path.name for path in paths if path.is_dir() and not path.name.startswith(".")]


def _safe(model: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", model):
        raise RegistryError(f"{model!r} cannot name a model: letters, digits, '.', '_', '-', a letter or digit first")
    return model


def _is_version(name: str) -> bool:
    return re.fullmatch(r"v\d{4,}", name) is not None


def _number(version: str) -> int:
    return int(version[1:])


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none yet"
