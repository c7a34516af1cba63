"""The parts alone: the network on the windows of the load, and the topic read by librdkafka. B windows, T ticks."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from streamae.bench.broker import Broker
from streamae.bench.figures import Parts
from streamae.bench.load import Load, healthy_values, starts
from streamae.detection.artifact import Artifact
from streamae.detection.runtime import MICRO_BATCH
from streamae.detection.scoring import Scorer

PROBES = 64 * MICRO_BATCH  # windows that the network is run on, again and again
PROBE_S = 0.8  # CPU time that is spent on them


class Alone:
    """What serving cannot do without, ready to be measured whenever the machine's pace is asked for."""

    def __init__(self, artifact: Artifact, load: Load, broker: Broker, topic: str) -> None:
        self._scorer = Scorer(artifact)  # the graph, session and micro-batches that serve
        self._windows = _windows(artifact, load)
        self._profile = artifact.profiles.rows([load.names[0]] * len(self._windows))
        self._load, self._broker, self._topic = load, broker, topic
        self._scorer.errors(self._windows, self._profile)  # warm

    def measure(self) -> Parts:
        """Both parts, now."""
        return Parts(self._window_us(), self._broker.consume_us(self._topic, self._load.readings))

    def _window_us(self) -> float:
        began, windows = time.process_time(), 0
        while (spent := time.process_time() - began) < PROBE_S:
            self._scorer.errors(self._windows, self._profile)
            windows += len(self._windows)
        return spent / windows * 1e6


def _windows(artifact: Artifact, load: Load) -> NDArray[np.float32]:
    """Windows as the load gives them [B, T, C]."""
    length = artifact.manifest.window.length
    values = healthy_values(load) - [channel.origin for channel in artifact.manifest.channels]
    first = np.resize(starts(load, values), PROBES)[:, None]
    return np.asarray(values[np.minimum(first + np.arange(length), len(values) - 1)], np.float32)
