"""What is exported beside the errors: the encoder alone, and a decoder where codes can be sampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.coding import Decoder, Encoder
from streamae.errors import ExportRefused
from streamae.training.autoencoders.network import Network
from streamae.training.graph import DecoderGraph
from streamae.training.parity import TOLERANCE, _largest, prove_coding
from tests.graphs import tiny_artifact
from tests.training.random_graphs import CHANNELS, exported, graph_of, walks

LENGTH = 40
Floats = NDArray[np.float32]


def artifact_of(kind: str) -> Artifact:
    """An artifact whose encoder and decoder are those of a kind."""
    graphs = exported(kind, LENGTH)
    return replace(tiny_artifact(), encoder=graphs.encoder, decoder=graphs.decoder)


def probes(count: int = 20) -> tuple[Floats, Floats]:
    windows = walks(count, LENGTH, seed=3).numpy()
    windows[::3][np.random.default_rng(0).random(windows[::3].shape) < 0.1] = np.nan
    profile = np.random.default_rng(1).uniform(0.5, 2, (count, 3, CHANNELS)).astype(np.float32)
    return windows, profile


def codes(count: int = 20) -> Floats:
    return np.random.default_rng(2).normal(size=(count, 4)).astype(np.float32)


@pytest.mark.parametrize("kind", ["dense masked", "conv conditional"])
def test_the_encoder_alone_gives_the_embedding_of_the_full_graph(kind: str) -> None:
    windows, profile = probes()
    full = onnxruntime.InferenceSession(exported(kind, LENGTH).full, providers=["CPUExecutionProvider"])
    (wanted,) = full.run(["embedding"], {"windows": windows, "profile": profile})
    found = Encoder(artifact_of(kind)).embed(windows, profile)
    assert found.shape == (20, 4)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert len(exported(kind, LENGTH).encoder) < 0.7 * len(exported(kind, LENGTH).full)


@pytest.mark.parametrize("kind", ["dense masked", "conv conditional"])
def test_exported_coding_is_proved_and_what_differs_is_refused(kind: str) -> None:
    artifact, given = artifact_of(kind), probes()
    assert prove_coding(graph_of(kind, LENGTH), artifact, given) <= TOLERANCE
    with pytest.raises(ExportRefused, match="what the exported encoder and decoder give differs by"):
        prove_coding(graph_of(kind, LENGTH, seed=1), artifact, given)


def test_a_difference_is_seen_beside_what_a_usual_window_has() -> None:
    """A code of which all units rest is all but 0, and nothing that float32 leaves over of it says anything."""
    usual, at_rest = np.ones((3, 4), np.float32), np.full((1, 4), 1e-5, np.float32)
    wanted = np.concatenate([usual, at_rest])
    assert _largest(wanted, wanted + np.float32(1e-9)) < 1e-7
    assert _largest(wanted, wanted * np.float32(1.1)) == pytest.approx(0.1, rel=1e-4)


def test_a_code_is_decoded_the_same_alone_and_in_any_batch() -> None:
    artifact, (windows, profile) = artifact_of("conv conditional"), probes()
    decoder, context = Decoder(artifact), np.nan_to_num(windows[:, :, 2:])
    together = decoder.decode(codes(), profile, context)
    assert together.shape == (20, LENGTH, CHANNELS)
    for at in range(20):
        row = slice(at, at + 1)
        assert decoder.decode(codes()[row], profile[row], context[row]).tobytes() == together[row].tobytes()


def test_the_decoder_is_given_the_context_in_raw_units() -> None:
    network = graph_of("conv conditional", LENGTH).parts[-1]
    assert isinstance(network, Network)
    decoder, (windows, profile) = Decoder(artifact_of("conv conditional")), probes()
    context = np.nan_to_num(windows[:, :, 2:])
    with torch.no_grad():
        wanted = DecoderGraph(network, LENGTH)(*map(torch.from_numpy, (codes(), profile, context)))
    assert (decoder.conditional, decoder.size) == (True, 4)
    np.testing.assert_allclose(decoder.decode(codes(), profile, context), wanted, rtol=1e-4, atol=1e-5)
    assert not np.allclose(decoder.decode(codes(), profile, context + 1), wanted)


@pytest.mark.parametrize("kind", ["dense masked", "pca"])
def test_there_is_no_decoder_where_no_code_can_be_sampled(kind: str) -> None:
    assert exported(kind, LENGTH).decoder == b""
