"""The model that is served: an LSTM autoencoder, fitted for a few steps. Its weights do not matter for its speed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from streamae import config as configs
from streamae.bench.figures import Case
from streamae.bench.load import CADENCE_MS, LEARN, Load, healthy_values
from streamae.detection.artifact import Artifact
from streamae.detection.manifest import WindowSpec

LENGTH, HIDDEN, CODE = 64, 32, 16
STEPS = 20


def config_text(names: dict[str, str | int], load: Load, case: Case) -> str:
    """The config of one service; `names` are its service, model, registry, store, readings and http_port."""
    channels = ", ".join(f'{name} = "$.{name}"' for name in load.channel_names)
    return f"""\
service = "{names["service"]}"
model = "{names["model"]}"
registry = "{names["registry"]}"

[topics]
store = "{names["store"]}"
readings = "{names["readings"]}"

[readings]
channels = {{ {channels} }}

[windows]
cadence_s = {CADENCE_MS // 1000}
length = {LENGTH}
stride = {case.stride}

[training]
autoencoder = "lstm"
objective = {{ name = "denoising", dropped = 0.1 }}
hidden = [{HIDDEN}]
code = {CODE}
steps = {STEPS}

[serving]
uses = {list(case.uses)}
http_port = {names["http_port"]}
"""


def trained(load: Load) -> Artifact:
    """The model, trained on what came before the load. Raises MissingExtra's cause where torch is not there."""
    import pandas as pd

    from streamae.training import job

    names: dict[str, str | int] = {"service": "bench", "model": "bench", "registry": "registry", "http_port": 0}
    names |= {"store": "kafka://127.0.0.1", "readings": "none"}
    config = configs.parse(config_text(names, load, Case(16)), Path())
    values = healthy_values(load)[:LEARN]
    time = pd.to_datetime((load.begin - LEARN + np.arange(LEARN)) * CADENCE_MS, unit="ms", utc=True)
    columns = dict(zip(load.channel_names, values.T, strict=True))
    return job.train(config, pd.DataFrame({"series": "learnt", "time": time, **columns}))


def named(artifact: Artifact, model: str, stride: int) -> Artifact:
    """The same graph under a name of its own, with windows of another stride."""
    window = artifact.manifest.window
    spec = WindowSpec(length=window.length, stride=stride, cadence_ms=window.cadence_ms)
    return replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, name=model, window=spec))
