"""What the operator decided, as one partition's detection needs it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Self

import msgspec

from streamae.config import Config
from streamae.detection.detector import Rules
from streamae.detection.readings import Mapping
from streamae.detection.uses import Use
from streamae.serving.made import TOPICS


@dataclass(frozen=True)
class Settings:
    """Names, mapping and rules of a service; `digest` tells whether a checkpoint was made under the same."""

    model: str
    readings: str
    alerts: str
    scores: str
    deadletters: str
    state: str
    mapping: Mapping
    rules: Rules
    publish_scores: Literal["off", "json", "packed"]
    made: dict[Use, str]  # the topic of each use that is asked for
    most_series: int
    flood: float

    @classmethod
    def of(cls, config: Config) -> Self:
        """The settings in a config."""
        return cls(
            model=config.model,
            readings=config.topics.readings,
            alerts=config.topic("alerts"),
            scores=config.topic("scores"),
            deadletters=config.topic("deadletters"),
            state=config.topic("state"),
            mapping=config.readings.mapping(),
            rules=config.rules(),
            publish_scores=config.serving.scores,
            made={use: config.topic(TOPICS[use]) for use in config.serving.uses},
            most_series=config.serving.most_series,
            flood=config.serving.flood,
        )

    @property
    def digest(self) -> str:
        """Hash of all that windows and episodes depend on, beside the model."""
        facts = msgspec.json.encode([self.mapping, self.rules], order="deterministic")
        return hashlib.sha256(facts).hexdigest()[:16]
