"""A GPU scores as the CPU does, a window by itself; and where there is none, nothing pretends that there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamae.detection.runtime import BUCKET, MICRO_BATCH, runtime
from streamae.detection.scoring import GOLDEN_TOLERANCE, Scorer
from streamae.errors import ArtifactError, ConfigError
from tests.graphs import tiny_artifact

ARTIFACT = tiny_artifact(centres={"pump-1": 10.0})
REAL = runtime().InferenceSession
OUTPUTS = ("error", "settled_error", "channel_error")


@dataclass
class PretendedGpu:
    """ONNX Runtime on the CPU that says that it is on a GPU. What it cannot show: other kernels, other bits."""

    providers: list[str] = field(default_factory=lambda: ["CUDAExecutionProvider"])
    on_cpu: list[str] = field(default_factory=list)  # operators that it did not place on the GPU
    sizes: list[int] = field(default_factory=list)  # windows of each run
    settings: list[dict[str, str]] = field(default_factory=list)  # of the provider, each session's
    searched: list[str] = field(default_factory=list)  # where CUDA was looked for
    leaks: bool = False  # whether a window's neighbours are seen in its outputs

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ort = runtime()
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
        monkeypatch.setattr(ort, "preload_dlls", lambda directory: self.searched.append(directory))
        monkeypatch.setattr(ort, "InferenceSession", self._session(ort.InferenceSession))

    def _session(self, real: Any) -> Any:
        def opened(graph: bytes, options: Any, providers: list[Any]) -> Any:
            assert options.get_session_config_entry("session.record_ep_graph_assignment_info") == "1"
            ((name, settings),) = providers
            assert name == "CUDAExecutionProvider"
            self.settings.append(settings)
            session = real(graph, options, providers=["CPUExecutionProvider"])
            nodes = [SimpleNamespace(op_type=op) for op in self.on_cpu]
            return SimpleNamespace(
                get_providers=lambda: self.providers,
                get_inputs=session.get_inputs,
                get_provider_graph_assignment_info=lambda: [
                    SimpleNamespace(
                        ep_name="CUDAExecutionProvider", get_nodes=lambda: [SimpleNamespace(op_type="LSTM")]
                    ),
                    SimpleNamespace(ep_name="CPUExecutionProvider", get_nodes=lambda: nodes),
                ],
                run=lambda names, inputs: self._run(session, names, inputs),
            )

        return opened

    def _run(self, session: Any, names: list[str], inputs: dict[str, NDArray[np.float32]]) -> list[Any]:
        self.sizes.append(len(inputs["windows"]))
        outputs = session.run(names, inputs)
        trace = np.float32(
            1 + 5e-8 * np.count_nonzero(inputs["windows"])
        )  # too little for the golden windows to differ
        return [output * trace for output in outputs] if self.leaks else outputs


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> PretendedGpu:
    pretended = PretendedGpu()
    pretended.install(monkeypatch)
    return pretended


def windows(count: int) -> NDArray[np.float32]:
    """Noise with holes."""
    chance = np.random.default_rng(1)
    values = chance.normal(scale=3, size=(count, 4, 2)).astype(np.float32)
    values[chance.random(values.shape) < 0.2] = np.nan
    return values


@pytest.mark.parametrize(("count", "runs"), [(0, 1), (1, 1), (BUCKET, 1), (BUCKET + 1, 2), (2 * BUCKET + 7, 3)])
def test_every_run_is_of_one_shape(gpu: PretendedGpu, count: int, runs: int) -> None:
    given, series = windows(count), ["pump-1"] * count
    on_gpu = Scorer(ARTIFACT, "cuda").score(given, series)
    assert gpu.sizes == [BUCKET] * runs
    with pytest.MonkeyPatch.context() as undone:
        undone.setattr(runtime(), "InferenceSession", REAL)
        on_cpu = Scorer(ARTIFACT).score(given, series)
    for name in ("score", "settled", "channel_error", "threshold"):
        assert np.array_equal(getattr(on_gpu, name), getattr(on_cpu, name))


def test_cuda_is_found_where_pip_puts_it_and_scores_are_not_rounded(gpu: PretendedGpu) -> None:
    Scorer(ARTIFACT, "cuda")
    assert set(gpu.searched) == {""}  # what this argument means to the runtime: beside itself, then on the paths
    assert all(one["use_tf32"] == "0" and one["cudnn_conv_algo_search"] == "HEURISTIC" for one in gpu.settings)


def test_a_gpu_of_which_a_window_sees_its_neighbours_is_not_served_on(gpu: PretendedGpu) -> None:
    Scorer(ARTIFACT, "cuda").prove()
    gpu.leaks = True
    with pytest.raises(ArtifactError, match="depends on the windows beside it"):
        Scorer(ARTIFACT, "cuda").prove()


def test_a_runtime_for_the_cpu_is_said_to_be_one() -> None:
    if "CUDAExecutionProvider" in runtime().get_available_providers():
        pytest.skip("this ONNX Runtime is one for GPUs")
    with pytest.raises(ConfigError, match=r"this ONNX Runtime is built for the CPU; install streamae\[gpu\]"):
        Scorer(ARTIFACT, "cuda")


def test_a_gpu_that_is_not_there_is_an_error_and_not_a_cpu(gpu: PretendedGpu) -> None:
    gpu.providers = ["CPUExecutionProvider"]
    with pytest.raises(ConfigError, match="fell back to the CPU"):
        Scorer(ARTIFACT, "cuda")


def test_a_network_that_was_left_on_the_cpu_is_an_error(gpu: PretendedGpu) -> None:
    gpu.on_cpu = ["Shape", "Gather"]
    Scorer(ARTIFACT, "cuda")
    gpu.on_cpu = ["Shape", "MatMul", "LSTM"]
    with pytest.raises(ConfigError, match=r"LSTM, MatMul of model\.onnx would run on the CPU"):
        Scorer(ARTIFACT, "cuda")


@pytest.mark.skipif(
    "CUDAExecutionProvider" not in runtime().get_available_providers(), reason="no GPU: see `make family` on one"
)
def test_a_real_gpu_gives_what_the_cpu_gives() -> None:
    on_gpu, on_cpu = Scorer(ARTIFACT, "cuda"), Scorer(ARTIFACT)
    on_gpu.prove()
    given = windows(3 * MICRO_BATCH)
    profile = np.tile(ARTIFACT.golden.profile[:1], (len(given), 1, 1))
    here, there = on_gpu.errors(given, profile), on_cpu.errors(given, profile)
    for name in OUTPUTS:
        assert np.allclose(getattr(here, name), getattr(there, name), rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE)
