"""Models: the versions that this process can score with, and which of them is champion."""

from __future__ import annotations

import logging
from collections.abc import Collection

from streamae.detection.artifact import Artifact
from streamae.detection.runtime import Device
from streamae.detection.scoring import Scorer
from streamae.detection.uses import Use, check
from streamae.errors import ArtifactError, ConfigError, RegistryError
from streamae.registry import Registry

log = logging.getLogger(__name__)


class Models:
    """Loads versions of one model; each is built, warmed and has reproduced its golden windows before it serves."""

    def __init__(
        self,
        registry: Registry,
        name: str,
        mapped: Collection[str],
        device: Device = "cpu",
        uses: Collection[Use] = (),
    ) -> None:
        self.name = name
        self._uses = uses
        self._mapped = mapped  # the channels that readings can have
        self.failures = 0  # champions that could not be loaded
        self._registry = registry
        self._device = device
        self._scorers: dict[str, Scorer] = {}
        self._champion: str | None = None
        self._refused: str | None = None

    def champion(self) -> Scorer | None:
        """The champion's scorer; the one before while a new champion cannot be loaded; None before the first.

        A registry that cannot be read now changes nothing.
        """
        try:
            named = self._registry.champion(self.name)
            if named is not None and named != self._champion:
                self.version(named)
                self._champion, self._refused = named, None
        except (ArtifactError, RegistryError) as error:
            self._refuse(str(error))
        return self._scorers[self._champion] if self._champion else None

    @property
    def champion_version(self) -> str | None:
        """The version that serves."""
        return self._champion

    def version(self, version: str) -> Scorer:
        """The scorer of a version. Raises RegistryError, ArtifactError."""
        if version not in self._scorers:
            scorer = self._scorer(self._registry.load(self.name, version))
            self._refuse_unmapped(scorer)
            scorer.prove()
            self._scorers[version] = scorer
        return self._scorers[version]

    def _scorer(self, artifact: Artifact) -> Scorer:
        try:
            check(artifact, self._uses)
        except ConfigError as error:
            raise ArtifactError(f"$.serving.uses: {error}; or leave that use out") from error
        return Scorer(artifact, self._device, self._uses)

    def keep(self, versions: set[str]) -> None:
        """Let go of all other versions (the champion stays)."""
        for version in set(self._scorers) - versions - {self._champion or ""}:
            del self._scorers[version]

    def _refuse_unmapped(self, scorer: Scorer) -> None:
        manifest = scorer.artifact.manifest
        unmapped = [name for name in manifest.measured if name not in self._mapped]
        if unmapped:
            raise ArtifactError(
                f"{manifest.name} {manifest.version} needs the channels {', '.join(unmapped)}, which "
                "$.readings.channels does not map: map them, or train a version without them"
            )

    def _refuse(self, why: str) -> None:
        if why != self._refused:
            self.failures += 1
            stays = f"{self._champion} goes on serving" if self._champion else "there is nothing to serve yet"
            log.error("the champion of %s cannot be loaded, %s: %s", self.name, stays, why)
        self._refused = why
