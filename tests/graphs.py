"""A tiny artifact, made by hand: its graph expects every channel at its profile's centre. No torch anywhere.

    error            mean squared deviation from the centre, in scales and error units, newer ticks weighing more
    settled_error    the same with all ticks weighing alike
    channel_error    what each channel brings to `error`
    reconstruction   the centre, at every tick
    embedding        each channel's mean deviation

A blank window is computed beside, as in the graphs that training exports: a runtime sums a batch of one in another
order than all others. Silence counts neither way; a window of nothing but silence has error 0. A reading `k` scales
off in every channel of a whole window gives an error of k * k, so that the default threshold stands for two scales.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx.parser

from streamae.detection.artifact import Artifact, Golden, Profiles
from streamae.detection.manifest import Channel, Manifest, Parity, Span, Threshold, WindowSpec
from streamae.detection.repairing import CLASSES, REACH, TAPS, Repair
from streamae.detection.scoring import Scorer

DAY_MS = 86_400_000

HEAD = """
    <ir_version: 9, opset_import: ["" : 18]>
    tiny (float[B, TICKS, CHANNELS] windows, float[B, 3, CHANNELS] profile) => (OUTPUTS)
    <int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3},
     int64[2] one_and_two = {1, 2}, float nothing = {0}, float tiny = {1e-6}, float least = {-1e4}, float most = {1e4},
     float ticks = COUNT, float[TICKS, 1] recency = RECENCY, float[CHANNELS] scored = SCORED,
     float[1, TICKS, CHANNELS] blank = BLANK, float[1, 3, CHANNELS] plain = PLAIN, int64[1] last = {-1}>
"""

SCALING = """
    more = Concat <axis = 0> (windows, blank)
    profiles = Concat <axis = 0> (profile, plain)
    centre = Slice (profiles, zero, one, one)
    spread = Slice (profiles, one, two, one)
    away = Sub (more, centre)
    wide = Div (away, spread)
    silent = IsNaN (wide)
    near = Clip (wide, least, most)
    deviation = Where (silent, nothing, near)
"""

ERRORS = """
    unit = Slice (profiles, two, three, one)
    in_units = Div (deviation, unit)
    square = Mul (deviation, in_units)
    there = Not (silent)
    seen = Cast <to = 1> (there)
    counts = Mul (seen, scored)
    settled_square = Mul (square, counts)
    settled_sum = ReduceSum <keepdims = 0> (settled_square, one_and_two)
    settled_weight = ReduceSum <keepdims = 0> (counts, one_and_two)
    settled_some = Max (settled_weight, tiny)
    more_settled = Div (settled_sum, settled_some)
    settled_error = Slice (more_settled, zero, last, zero)
    recent = Mul (counts, recency)
    recent_square = Mul (square, recent)
    channel_sum = ReduceSum <keepdims = 0> (recent_square, one)
    recent_channel = ReduceSum <keepdims = 0> (recent, one)
    recent_weight = ReduceSum <keepdims = 1> (recent_channel, one)
    recent_some = Max (recent_weight, tiny)
    more_channel = Div (channel_sum, recent_some)
    channel_error = Slice (more_channel, zero, last, zero)
    more_error = ReduceSum <keepdims = 0> (more_channel, one)
    error = Slice (more_error, zero, last, zero)
"""

ERROR_OUTPUTS = "float[B] error, float[B] settled_error, float[B, CHANNELS] channel_error"
EXPECTATIONS = """
    shape = Shape (windows)
    own_centre = Slice (centre, zero, last, zero)
    reconstruction = Expand (own_centre, shape)
"""
EMBEDDING = """
    embedding_sum = ReduceSum <keepdims = 0> (deviation, one)
    more_embedding = Div (embedding_sum, ticks)
    embedding = Slice (more_embedding, zero, last, zero)
"""
CODE_OUTPUT = "float[B, CHANNELS] embedding"
FULL_OUTPUTS = f"float[B, TICKS, CHANNELS] reconstruction, {CODE_OUTPUT}"
BODIES = {ERROR_OUTPUTS: ERRORS, FULL_OUTPUTS: EXPECTATIONS + EMBEDDING, CODE_OUTPUT: EMBEDDING}


def tiny_artifact(
    channels: int = 2,
    length: int = 4,
    stride: int = 2,
    cadence_ms: int = 1000,
    threshold: float = 4.0,
    *,
    name: str = "tiny",
    version: str = "1",
    smoothing: int = 1,
    scored: Sequence[bool] | None = None,
    origins: Sequence[float] | None = None,
    centres: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
    budget_per_week: float = 1.0,
    derived: Sequence[str] = (),
) -> Artifact:
    """An artifact whose fleet profile is centre 0, scale 1; `centres` and `thresholds` are of series it knows."""
    scored = [*(scored or [True] * channels), *[False] * len(derived)]
    names = [*(f"channel-{at}" for at in range(channels)), *derived]
    origins, centres = origins or [0.0] * len(names), centres or {}
    model, full, encoder = (graph(length, scored, outputs, body) for outputs, body in BODIES.items())
    table = np.zeros((1 + len(centres), 3, len(names)), np.float32)
    table[:, 1:], table[1:, 0] = 1, np.array(list(centres.values()), np.float32)[:, None]
    manifest = Manifest(
        name=name,
        version=version,
        autoencoder="tiny",
        channels=tuple(map(_channel, names, origins, scored)),
        window=WindowSpec(length=length, stride=stride, cadence_ms=cadence_ms),
        settled_smoothing=smoothing,
        threshold=Threshold(error=threshold, settled=threshold),
        thresholds={of: Threshold(error=own, settled=own) for of, own in (thresholds or {}).items()},
        budget_per_week=budget_per_week,
        spans={"fit": Span(start=0, end=7 * DAY_MS), "calibrate": Span(start=7 * DAY_MS, end=9 * DAY_MS)},
        parity=(Parity(batch=1, relative_difference=0.0, threshold_flips=0),),
    )
    none_yet, repair = Golden(*[np.empty(0, np.float32)] * 5), tiny_repair(len(names))
    unproven = Artifact(manifest, model, full, Profiles(tuple(centres), table), none_yet, encoder, repair=repair)
    return replace(unproven, golden=golden(unproven))


def _channel(name: str, origin: float, scored: bool) -> Channel:
    return Channel(name=name, origin=origin, scored=scored)


def tiny_repair(channels: int) -> Repair:
    """Half of what is off stays, up to eight scales; silence is filled from its neighbours, less sure the further."""
    kernel = np.zeros((TAPS, channels), np.float32)
    kernel[REACH] = 0.5
    rest = np.tile(np.array([[1], [0], [8]], np.float32), channels)
    spread = np.tile(np.arange(1, CLASSES + 1, dtype=np.float32)[:, None] / 16, channels)
    return Repair(kernel, rest, np.ones((CLASSES, channels), np.float32), spread.astype(np.float32))


def tiny_config(length: int, stride: int) -> str:
    """The config of a service for which a tiny artifact with such windows is made."""
    return f"""\
service = "plant"
model = "tiny"
[topics]
store = "embedded://plant.db"
readings = "plant.readings"
[readings]
channels = {{ channel-0 = "$.a", channel-1 = "$.b" }}
[windows]
cadence_s = 1
length = {length}
stride = {stride}
"""


def graph(length: int, scored: Sequence[bool], outputs: str, body: str) -> bytes:
    """An ONNX graph over windows [B, T, C] and profile [B, 3, C]."""
    text = f"{HEAD} {{ {SCALING} {body} }}".replace("OUTPUTS", outputs)
    words = {"RECENCY": numbers(range(1, length + 1)), "SCORED": numbers(scored), "COUNT": numbers([length])}
    words |= {"BLANK": numbers([0] * length * len(scored)), "PLAIN": numbers([1] * 3 * len(scored))}
    for word, meaning in (words | {"TICKS": str(length), "CHANNELS": str(len(scored))}).items():
        text = text.replace(word, meaning)
    model: bytes = onnx.parser.parse_model(text).SerializeToString()
    return model


def waving(artifact: Artifact, period: float = 12.0, conditional: bool = False) -> Artifact:
    """The same with a decoder whose two numbers are those of a wave, in scales around the centre of every channel.

    A conditional one adds what its context channels say.
    """
    length, channels = artifact.manifest.window.length, len(artifact.manifest.channels)
    turns = 2 * np.pi * np.arange(length) / period
    context = sum(not channel.scored for channel in artifact.manifest.channels) if conditional else 0
    takes = f"float[B, 2] code, float[B, 3, {channels}] profile"
    own = "given = Identity (laid)"
    if context:
        takes += f", float[B, {length}, {context}] context"
        own = "more = ReduceSum <keepdims = 1> (context, two) given = Add (laid, more)"
    text = f"""
        <ir_version: 9, opset_import: ["" : 18]>
        waving ({takes}) => (float[B, {length}, {channels}] reconstruction)
        <float[2, {length}] basis = {numbers([*np.sin(turns), *np.cos(turns)])},
         int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}>
        {{
            wave = MatMul (code, basis)
            laid = Unsqueeze (wave, two)
            {own}
            centre = Slice (profile, zero, one, one)
            spread = Slice (profile, one, two, one)
            wide = Mul (given, spread)
            reconstruction = Add (wide, centre)
        }}"""
    return replace(artifact, decoder=onnx.parser.parse_model(text).SerializeToString())


def numbers(of: Iterable[float]) -> str:
    """As the text form of ONNX writes a tensor's values."""
    return "{" + ", ".join(str(float(each)) for each in of) + "}"


def golden(artifact: Artifact) -> Golden:
    """Five windows, some with silence, and what the graph gives for them."""
    length, channels = artifact.manifest.window.length, len(artifact.manifest.channels)
    windows = np.random.default_rng(0).normal(size=(5, length, channels)).astype(np.float32)
    windows[1, 0], windows[2, :, 0], windows[3] = np.nan, np.nan, np.nan
    profile = np.tile(np.array([[0], [1], [1]], np.float32), (5, 1, channels))
    errors = Scorer(artifact).errors(windows, profile)
    return Golden(windows, profile, errors.error, errors.settled_error, errors.channel_error)
