"""Parity: the proof that exported graphs do what the network does, at several batch sizes.

B windows, T ticks, C channels, K numbers of a code, Q context channels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from streamae.detection.artifact import Artifact
from streamae.detection.coding import Decoder, Encoder
from streamae.detection.manifest import Parity, Threshold
from streamae.detection.scoring import Scorer
from streamae.errors import ExportRefused
from streamae.training.autoencoders.network import Network
from streamae.training.export import ERRORS
from streamae.training.graph import DecoderGraph, FullGraph, Graph

BATCHES = (1, 7, 64, 256)
TOLERANCE = 1e-5  # relative difference
# Differences are relative to the value, or to this many error units where the value is smaller. A channel that stands
# off its centre and is rebuilt well has a tiny error that is the difference of larger numbers: one unit is its measure.
SMALLEST = {"error": 1e-2, "settled_error": 1e-2, "channel_error": 1.0}

Floats = NDArray[np.float32]


def prove_parity(
    graph: Graph, scorer: Scorer, probes: tuple[Floats, Floats], threshold: Threshold
) -> tuple[Parity, ...]:
    """Compare the exported graph with the network on probes (windows [B, T, C], profile [B, 3, C]) at each batch size.

    Raises ExportRefused where an output differs by more than TOLERANCE. An error on the other side of the threshold is
    counted; within the tolerance it can only be one that lies on it.
    """
    proofs = []
    windows, profile = probes
    for batch in BATCHES:
        which = np.resize(np.arange(len(windows)), batch)
        with torch.no_grad():
            wanted = [out.numpy() for out in graph(torch.from_numpy(windows[which]), torch.from_numpy(profile[which]))]
        errors = scorer.errors(windows[which], profile[which], micro_batch=batch)
        given = [errors.error, errors.settled_error, errors.channel_error]
        differences = dict(zip(ERRORS, map(_difference, ERRORS, wanted, given), strict=True))
        worst = max(differences, key=lambda name: differences[name])
        if not differences[worst] <= TOLERANCE:
            raise ExportRefused(
                f"at batch {batch} the exported graph's {worst} differs by {differences[worst]:.1e} from the network's "
                f"(relative; at most {TOLERANCE:.0e} is allowed), so it is not served. See which operator of your own "
                "autoencoder loses precision, or try another version of torch or onnxscript"
            )
        limits = (threshold.error, threshold.settled)
        flips = sum(int(((a > x) != (b > x)).sum()) for a, b, x in zip(wanted[:2], given[:2], limits, strict=True))
        proofs.append(Parity(batch=batch, relative_difference=differences[worst], threshold_flips=flips))
    return tuple(proofs)


def _difference(output: str, wanted: Floats, given: Floats) -> float:
    return float((abs(wanted - given) / np.maximum(abs(wanted), SMALLEST[output])).max(initial=0.0))


def prove_coding(graph: Graph, artifact: Artifact, probes: tuple[Floats, Floats]) -> float:
    """The largest difference of codes, and of what is decoded, between the exported graphs and the network.

    Raises ExportRefused where it is more than TOLERANCE.
    """
    worst = 0.0
    encoder = Encoder(artifact)
    decoder = Decoder(artifact) if artifact.decoder else None
    for batch in BATCHES:
        windows, profile = (probe[np.resize(np.arange(len(probe)), batch)] for probe in probes)
        with torch.no_grad():
            *_, wanted = FullGraph(graph)(torch.from_numpy(windows), torch.from_numpy(profile))
        code = encoder.embed(windows, profile)
        worst = max(worst, _largest(wanted.numpy(), code))
        if decoder:
            worst = max(worst, _decoded(graph, decoder, code, (windows, profile)))
    if not worst <= TOLERANCE:
        raise ExportRefused(
            f"what the exported encoder and decoder give differs by {worst:.1e} from what the network gives "
            f"(relative; at most {TOLERANCE:.0e} is allowed). See which operator of your own autoencoder loses "
            "precision, or try another version of torch or onnxscript"
        )
    return worst


def _decoded(graph: Graph, decoder: Decoder, code: Floats, probe: tuple[Floats, Floats]) -> float:
    network, (windows, profile) = graph.parts[-1], probe
    assert isinstance(network, Network)  # noqa: S101
    context = windows[:, :, network.conditions]
    inputs = [torch.from_numpy(one) for one in (code, profile, *([context] if network.conditions else []))]
    with torch.no_grad():
        wanted = DecoderGraph(network, graph.length).eval()(*inputs)
    return _largest(wanted.numpy(), decoder.decode(code, profile, context))


def _largest(wanted: Floats, given: Floats) -> float:
    """Relative to the largest number of a window, or of a usual one: a code of which all units rest is next to 0."""
    size = abs(wanted).reshape(len(wanted), -1).max(axis=1, initial=1e-6)
    size = np.maximum(size, np.median(size))
    return float((abs(wanted - given).reshape(len(wanted), -1).max(axis=1) / size).max(initial=0.0))
