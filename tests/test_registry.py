from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from streamae.detection.artifact import FILES, Artifact, Golden, Profiles
from streamae.detection.manifest import MANIFEST, Channel, Manifest, Threshold, WindowSpec
from streamae.errors import ArtifactError, RegistryError
from streamae.registry import POINTER, Promotion, Registry


def artifact(name: str = "pumps", graph: bytes = b"graph") -> Artifact:
    manifest = Manifest(
        name=name,
        autoencoder="pca",
        channels=(Channel(name="temperature"),),
        window=WindowSpec(length=4, stride=2, cadence_ms=1000),
        threshold=Threshold(error=1.0, settled=1.0),
        budget_per_week=1.0,
        spans={},
        parity=(),
    )
    windows = np.zeros((2, 4, 1), dtype=np.float32)
    error = np.zeros(2, dtype=np.float32)
    golden = Golden(windows, np.zeros((2, 3, 1), dtype=np.float32), error, error, error[:, None])
    profiles = Profiles(("pump-01",), np.zeros((2, 3, 1), dtype=np.float32))
    return Artifact(manifest, graph, b"full", profiles, golden, b"the encoder")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def filled(registry: Registry, count: int) -> Registry:
    for _ in range(count):
        registry.register(artifact())
    return registry


def test_versions_count_up_and_load_as_they_were_registered(registry: Registry) -> None:
    first, second = registry.register(artifact()), registry.register(artifact(graph=b"better"))
    assert [each.manifest.version for each in (first, second)] == registry.versions("pumps") == ["v0001", "v0002"]
    assert registry.models() == ["pumps"]
    assert registry.load("pumps", "v0001").encode() == first.encode()
    assert registry.load("pumps", "v0002").model == b"better"


def test_versions_are_ordered_by_number(registry: Registry) -> None:
    folder = filled(registry, 2).folder / "pumps"
    (folder / "v0002").rename(folder / "v9999")
    assert registry.register(artifact()).manifest.version == "v10000"
    assert registry.versions("pumps") == ["v0001", "v9999", "v10000"]


def test_a_place_is_a_folder_or_a_file_url(tmp_path: Path) -> None:
    filled(Registry(f"file://{tmp_path}/registry"), 1)
    assert Registry(str(tmp_path / "registry")).versions("pumps") == ["v0001"]
    with pytest.raises(RegistryError, match=r"s3://bucket/registry: a registry is a folder"):
        Registry("s3://bucket/registry")


def test_the_champion_is_who_was_promoted_last(registry: Registry) -> None:
    assert filled(registry, 2).champion("pumps") is None
    assert registry.champion("valves") is None
    registry.promote("pumps", "v0001", 10, "first")
    registry.promote("pumps", "v0002", 20, "better")
    registry.promote("pumps", "v0002", 30, "again")  # a second replica of the same job
    assert registry.champion("pumps") == "v0002"
    assert registry.promotions("pumps") == (
        Promotion(version="v0001", at_ms=10, why="first"),
        Promotion(version="v0002", at_ms=20, why="better"),
    )


def test_rollback_goes_to_the_champion_before_and_then_further_back(registry: Registry) -> None:
    filled(registry, 3)
    for at, version in enumerate(registry.versions("pumps")):
        registry.promote("pumps", version, at, "scheduled")
    assert registry.rollback("pumps", 5, "alert storm") == registry.champion("pumps") == "v0002"
    assert registry.rollback("pumps", 6, "still") == registry.champion("pumps") == "v0001"
    assert registry.promotions("pumps")[-1] == Promotion(version="v0001", at_ms=6, why="still", rollback=True)
    with pytest.raises(
        RegistryError, match=r"no champion before v0001 to go back to; promote one of v0001, v0002, v0003"
    ):
        registry.rollback("pumps", 7, "more")
    registry.promote("pumps", "v0003", 8, "mended")
    assert registry.rollback("pumps", 9, "not so") == "v0001"


def test_a_rollback_to_a_damaged_version_leaves_the_champion(registry: Registry) -> None:
    for version in ("v0001", "v0002"):
        registry.register(artifact())
        registry.promote("pumps", version, 0, "")
    (registry.folder / "pumps" / "v0001" / "model.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"v0001: model\.onnx is missing"):
        registry.rollback("pumps", 1, "")
    assert registry.champion("pumps") == "v0002"


def test_collect_keeps_what_is_needed(registry: Registry) -> None:
    filled(registry, 7)
    for version in ("v0001", "v0002", "v0004"):
        registry.promote("pumps", version, 0, "")
    assert registry.collect("pumps", {"v0005"}) == ["v0001", "v0003", "v0006"]
    assert registry.versions("pumps") == ["v0002", "v0004", "v0005", "v0007"]
    assert registry.register(artifact()).manifest.version == "v0008"
    assert registry.rollback("pumps", 1, "") == "v0002"
    assert registry.collect("pumps", set()) == ["v0004", "v0005", "v0007"]
    assert not list((registry.folder / "pumps").glob(".old-*"))


@pytest.mark.parametrize("name", [MANIFEST, *FILES, "encoder.onnx"])
def test_a_damaged_version_is_refused_by_version_and_file(registry: Registry, name: str) -> None:
    path = filled(registry, 1).folder / "pumps" / "v0001" / name
    good = path.read_bytes()
    path.write_bytes(good[:10] + bytes([good[10] ^ 1]) + good[11:] if len(good) > 10 else b"x" + good[1:])
    with pytest.raises(ArtifactError, match=rf"v0001: .*{re.escape(name)}"):
        registry.load("pumps", "v0001")
    with pytest.raises(ArtifactError, match=rf"v0001: .*{re.escape(name)}"):
        registry.promote("pumps", "v0001", 0, "")
    path.unlink()
    with pytest.raises(ArtifactError, match=rf"v0001: {re.escape(name)} is missing"):
        registry.load("pumps", "v0001")
    assert registry.champion("pumps") is None


def test_a_version_copied_into_place_is_refused(registry: Registry) -> None:
    folder = filled(registry, 2).folder / "pumps"
    (folder / "v0002").rename(folder / "v0003")
    with pytest.raises(ArtifactError, match=r"v0003: manifest\.json is of pumps v0002"):
        registry.load("pumps", "v0003")


def test_what_is_not_there_is_named_beside_what_is(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"no model 'pumps'; there are none yet"):
        registry.versions("pumps")
    filled(registry, 2).register(artifact("valves"))
    with pytest.raises(RegistryError, match=r"no model 'pumsp'; there are pumps, valves"):
        registry.load("pumsp", "v0001")
    with pytest.raises(RegistryError, match=r"pumps: no version 'v0009'; there are v0001, v0002"):
        registry.promote("pumps", "v0009", 0, "")
    with pytest.raises(RegistryError, match=r"no champion before the first"):
        registry.rollback("pumps", 0, "")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../pumps", "/etc", "pumps/v0001", ".hidden", "pu mps", "a" * 101, "a\n"]
)
def test_names_that_leave_the_folder_are_refused(registry: Registry, name: str) -> None:
    filled(registry, 1)
    for act in (
        lambda: registry.register(artifact(name)),
        lambda: registry.champion(name),
        lambda: registry.versions(name),
        lambda: registry.promote(name, "v0001", 0, ""),
        lambda: registry.collect(name, set()),
    ):
        with pytest.raises(RegistryError, match="cannot name a model"):
            act()
    with pytest.raises(RegistryError, match="no version"):
        registry.load("pumps", name)
    assert registry.models() == ["pumps"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"promotions": [{"version": 1}]}', b"\xff"])
def test_a_damaged_pointer_file_is_named_with_its_cure(registry: Registry, damage: bytes) -> None:
    pointer = filled(registry, 1).folder / "pumps" / POINTER
    pointer.write_bytes(damage)
    for act in (
        lambda: registry.champion("pumps"),
        lambda: registry.promote("pumps", "v0001", 0, ""),
        lambda: registry.collect("pumps", set()),
    ):
        with pytest.raises(RegistryError, match=r"champion\.json is damaged .*; remove it and promote"):
            act()
    pointer.unlink()
    registry.promote("pumps", "v0001", 0, "mended")
    assert registry.champion("pumps") == "v0001"


def test_a_registry_that_is_no_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match=r"file.*Not a directory; the registry must be a folder"):
        Registry(tmp_path / "file").register(artifact())


def test_a_registry_that_cannot_be_written_says_so(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(registry, 1)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RegistryError, match=r"pumps: No space left on device; the registry must be a folder"):
        registry.register(artifact())
    assert registry.versions("pumps") == ["v0001"]
    monkeypatch.undo()
    assert registry.register(artifact()).manifest.version == "v0002"  # and what was left aside is gone
    assert not list((registry.folder / "pumps").glob(".new-*"))


def test_a_read_only_registry_can_be_read(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(registry, 1).promote("pumps", "v0001", 0, "")
    opened = Path.open

    def read_only(path: Path, mode: str = "r") -> Any:
        if "w" in mode:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", read_only)
    assert registry.load("pumps", "v0001").manifest.version == registry.champion("pumps")
    with pytest.raises(RegistryError, match="Read-only file system; the registry must be a folder"):
        registry.register(artifact())


def test_where_a_folder_lock_does_not_reach_the_next_number_is_tried(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(registry, 2)
    monkeypatch.setattr(Registry, "versions", lambda *_: ["v0001"])  # another host registered v0002 since
    with pytest.raises(RegistryError, match="no version 'v0003'"):  # which it has just registered
        registry.register(artifact(graph=b"mine"))
    monkeypatch.undo()
    assert registry.load("pumps", "v0003").model == b"mine"
    assert registry.load("pumps", "v0002").model == b"graph"


def _register_and_promote(place: Path, graph: bytes, turns: int) -> list[str]:
    registry, versions = Registry(place), []
    for turn in range(turns):
        version = registry.register(dataclasses.replace(artifact(), model=graph)).manifest.version
        registry.promote("pumps", version, turn, graph.decode())
        versions.append(version)
    return versions


def test_registrars_and_promoters_at_the_same_time_lose_nothing(registry: Registry) -> None:
    """Four processes register and promote while this one reads: it never sees a half of anything."""
    filled(registry, 1).promote("pumps", "v0001", 0, "first")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        jobs = [pool.apply_async(_register_and_promote, (registry.folder, b"%d" % job, 5)) for job in range(4)]
        while not all(job.ready() for job in jobs):
            for version in registry.versions("pumps"):
                assert registry.load("pumps", version).manifest.version == version
            champion = registry.champion("pumps")
            assert champion is not None
            registry.load("pumps", champion)
        given = [version for job in jobs for version in job.get()]
    assert sorted(["v0001", *given]) == registry.versions("pumps") == [f"v{number:04}" for number in range(1, 22)]
    assert len(registry.promotions("pumps")) == 21
    for job, made in enumerate(jobs):
        assert all(registry.load("pumps", version).model == b"%d" % job for version in made.get())


def test_the_pointer_file_can_be_read_by_people(registry: Registry) -> None:
    filled(registry, 1).promote("pumps", "v0001", 1234, "first of its kind")
    text = (registry.folder / "pumps" / POINTER).read_text()
    assert msgspec.json.decode(text) == {
        "promotions": [{"version": "v0001", "at_ms": 1234, "why": "first of its kind", "rollback": False}]
    }
    assert len(text.splitlines()) > 3
