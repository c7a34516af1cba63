"""A window's score is its own: not its neighbours', nor its batch's; and a graph that lies is not served."""

from __future__ import annotations

import builtins
import importlib.metadata
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Threshold, WindowSpec
from streamae.detection.runtime import runtime
from streamae.detection.scoring import Scorer
from streamae.errors import ArtifactError, ConfigError, MissingExtra
from tests.graphs import tiny_artifact

ARTIFACT = tiny_artifact(centres={"pump-1": 10.0}, thresholds={"pump-1": 16.0})


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(ARTIFACT)


def windows(count: int) -> NDArray[np.float32]:
    """Noise with holes."""
    chance = np.random.default_rng(1)
    values = chance.normal(scale=3, size=(count, 4, 2)).astype(np.float32)
    values[chance.random(values.shape) < 0.2] = np.nan
    return values


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 128, 129])
def test_a_score_does_not_depend_on_its_batch(scorer: Scorer, count: int) -> None:
    batch, series = windows(129)[:count], ["pump-1", "valve", "fan"] * 43
    together = scorer.score(batch, series[:count])
    for at in range(count):
        alone = scorer.score(batch[at : at + 1], [series[at]])
        for name in ("score", "settled", "channel_error", "threshold"):
            assert getattr(alone, name).tobytes() == getattr(together, name)[at : at + 1].tobytes()


def test_no_windows_have_no_scores(scorer: Scorer) -> None:
    scores = scorer.score(windows(0), [])
    assert (scores.score.shape, scores.settled.shape, scores.channel_error.shape) == ((0,), (0,), (0, 2))
    assert scorer.reconstruct(windows(0), []).shape == (0, 4, 2)


def test_a_series_has_its_own_profile_and_threshold(scorer: Scorer) -> None:
    scores = scorer.score(np.full((2, 4, 2), 2, np.float32), ["pump-1", "never seen"])
    assert scores.threshold.tolist() == [16.0, 4.0]
    assert scores.score.tolist() == [8.0**2 / 16, 2.0**2 / 4]
    assert scorer.reconstruct(windows(2), ["pump-1", "never seen"])[:, 0, 0].tolist() == [10.0, 0.0]


def test_silence_is_no_error(scorer: Scorer) -> None:
    scores = scorer.score(np.full((1, 4, 2), np.nan, np.float32), ["pump-1"])
    assert (scores.score.tolist(), scores.settled.tolist()) == ([0.0], [0.0])


def test_context_channels_have_no_error() -> None:
    scores = Scorer(tiny_artifact(scored=[True, False])).score(np.full((1, 4, 2), 2, np.float32), ["pump-1"])
    assert (scores.score.tolist(), scores.channel_error.tolist()) == ([1.0], [[4.0, 0.0]])


def test_golden_windows_are_reproduced(scorer: Scorer) -> None:
    scorer.prove()


@pytest.mark.parametrize("output", ["error", "settled_error", "channel_error"])
def test_a_graph_that_differs_from_its_golden_windows_is_refused(output: str) -> None:
    wrong = getattr(ARTIFACT.golden, output) * np.float32(1.001)
    with pytest.raises(ArtifactError, match=rf"tiny@1: .*\({output} differs\)"):
        Scorer(replace(ARTIFACT, golden=replace(ARTIFACT.golden, **{output: wrong}))).prove()


def test_golden_outputs_of_another_count_are_refused() -> None:
    with pytest.raises(ArtifactError, match="error differs"):
        Scorer(replace(ARTIFACT, golden=replace(ARTIFACT.golden, error=ARTIFACT.golden.error[:1]))).prove()


@pytest.mark.parametrize("graph", ["model", "full"])
@pytest.mark.parametrize("other", [tiny_artifact(length=5), tiny_artifact(channels=3)])
def test_a_graph_of_other_shapes_is_refused(graph: str, other: Artifact) -> None:
    with pytest.raises(ArtifactError, match=rf"{graph}\.onnx takes .* the manifest says windows \[4, 2\]"):
        Scorer(replace(ARTIFACT, **{graph: getattr(other, graph)}))


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"model\.onnx cannot be loaded"):
        Scorer(replace(ARTIFACT, model=b"not a graph"))


@pytest.mark.parametrize(
    "swapped", [replace(ARTIFACT, model=ARTIFACT.full), replace(ARTIFACT, full=ARTIFACT.model)], ids=["model", "full"]
)
def test_graphs_that_were_swapped_are_refused(swapped: Artifact) -> None:
    with pytest.raises(ArtifactError, match=r"tiny@1: its graphs do not run \(.*(error|reconstruction)"):
        Scorer(swapped).prove()


def test_a_manifest_of_other_windows_is_refused() -> None:
    spec = WindowSpec(length=8, stride=2, cadence_ms=1000)
    with pytest.raises(ArtifactError, match="takes"):
        Scorer(replace(ARTIFACT, manifest=msgspec.structs.replace(ARTIFACT.manifest, window=spec)))


def test_two_runtimes_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [SimpleNamespace(name="onnxruntime"), SimpleNamespace(name="onnxruntime-gpu")]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: iter(both))
    with pytest.raises(ConfigError, match="both installed"):
        runtime()


def test_no_runtime_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_runtime(name: str, *rest: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_runtime)
    with pytest.raises(MissingExtra, match=r"streamae\[cpu\]"):
        runtime()


def test_errors_that_are_no_numbers_are_refused() -> None:
    scorer = Scorer(tiny_artifact(threshold=1e-305))
    with pytest.raises(ArtifactError, match=r"model\.onnx gives errors that are no numbers"):
        scorer.score(np.full((1, 4, 2), np.float32(1e9)), ["pump"])


@pytest.mark.parametrize("error", [0.0, -1.0, float("inf"), float("nan")])
def test_a_threshold_is_above_0_and_finite(error: float) -> None:
    with pytest.raises(ValueError, match="above 0 and finite"):
        Threshold(error=error, settled=1.0)
