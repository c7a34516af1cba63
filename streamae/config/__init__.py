"""One TOML file -> frozen structs, a section a room. The only reader of environment variables.

Every fault is found before anything starts, and named with its path, its reason and its cure.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from streamae import strict_toml
from streamae.config.objectives import Denoising
from streamae.config.section import Name, Section
from streamae.config.sections import Episodes, Readings, Retraining, Serving, Topics, Windows
from streamae.config.training import AUTOENCODERS, DEVIATION, LINEAR, MEMORY, UNTRAINED, Spans, ThresholdRule, Training
from streamae.detection.detector import Rules
from streamae.detection.uses import FILLING
from streamae.errors import ConfigError

__all__ = [
    "AUTOENCODERS",
    "DEVIATION",
    "LINEAR",
    "MEMORY",
    "UNTRAINED",
    "Config",
    "Episodes",
    "Readings",
    "Retraining",
    "Spans",
    "ThresholdRule",
    "Training",
    "Windows",
    "load",
    "parse",
]


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    service: Name
    model: Name
    registry: str = "registry"
    topics: Topics
    readings: Readings
    windows: Windows
    episodes: Episodes = Episodes()
    training: Training = Training()
    retraining: Retraining = Retraining()
    serving: Serving = Serving()

    def __post_init__(self) -> None:
        named = {"context": self.training.context, "modes": self.training.modes, "ranges": self.training.ranges}
        for key, names in named.items():
            for name in names:
                if name not in self.readings.channels:
                    raise ValueError(f"training.{key} names {name!r}, which is none of $.readings.channels")
        if self.training.autoencoder in UNTRAINED and self.training.aim != Denoising():
            raise ValueError(
                f"training.objective: {self.training.autoencoder} has no network to train; "
                "leave the objective out, or choose dense, conv, lstm or transformer as training.autoencoder"
            )
        if "impute" in self.serving.uses and not self.training.fills:
            raise ValueError(
                f"serving.uses: {self.training.autoencoder} towards {self.training.aim_name} cannot impute, for it is "
                f"never shown silence; train {FILLING}, or leave `impute` out"
            )
        if self.training.refit and self.retraining != Retraining():
            raise ValueError(
                "training.refit is on, but what [retraining] trains is compared with the champion on a judge span, "
                "which a refit would have seen; turn it off"
            )

    def rules(self) -> Rules:
        """What an operator has decided about detection."""
        return Rules(lateness=self.windows.lateness(), policy=self.episodes.policy(self.windows))

    def topic(self, kind: str) -> str:
        """The name of one of the service's own topics."""
        return f"{self.service}.{kind}"


def load(path: Path) -> Config:
    """Read and check a config file. Raises ConfigError that names the file, the path in it, and the cure."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give the path of a TOML file") from error
    try:
        return parse(text, path.parent)
    except ConfigError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error


def parse(text: str, folder: Path = Path()) -> Config:
    """A config from TOML text; relative paths in it start at `folder`. Raises ConfigError with one line a fault."""
    config = _located(strict_toml.read(text, Config, os.environ), folder)
    config.episodes.policy(config.windows)
    return config


def _located(config: Config, folder: Path) -> Config:
    """Files and folders named in the config are meant from where the config lies."""
    registry = config.registry if "://" in config.registry else str(folder / config.registry)
    store = config.topics.store
    if store.startswith("embedded://"):
        store = f"embedded://{folder / store.removeprefix('embedded://')}"
    return msgspec.structs.replace(
        config,
        registry=registry,
        topics=msgspec.structs.replace(config.topics, store=store),
        training=msgspec.structs.replace(
            config.training, files=tuple(str(folder / each) for each in config.training.files)
        ),
    )
