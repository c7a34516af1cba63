"""Export: the graph as ONNX, and the proof that it does what the network does.

B windows, T ticks, C channels.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from streamae.detection.artifact import Parity, Threshold
from streamae.detection.scoring import Scorer
from streamae.errors import ExportRefused
from streamae.training.graph import FullGraph, Graph

BATCHES = (1, 7, 64, 256)  # at which parity is proved
ERRORS = ("error", "settled_error", "channel_error")  # of model.onnx
REST = ("reconstruction", "embedding")  # of full.onnx
TOLERANCE = 1e-5  # relative difference
# Differences are relative to the value, or to this many error units where the value is smaller. A channel that stands
# off its centre and is rebuilt well has a tiny error that is the difference of larger numbers: one unit is its measure.
SMALLEST = {"error": 1e-2, "settled_error": 1e-2, "channel_error": 1.0}
KEPT = 64  # exports that a process keeps, to be filled with other weights
SERVED = "served."  # what the names of a graph's weights begin with in FullGraph
RANDOM = {
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli", "Dropout",
}  # fmt: skip
KNOWN_WARNINGS = (
    (UserWarning, "The tensor attributes? .*_flat_weights"),
    (UserWarning, "# The axis name: .* will not be used"),
    (UserWarning, "Exporting a model to ONNX with a batch_size other than 1"),
    (FutureWarning, "_check_is_size will be removed"),
    (FutureWarning, "`isinstance\\(treespec, LeafSpec\\)` is deprecated"),
)


Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Exported:
    """The two graphs as ONNX."""

    model: bytes
    full: bytes

    def refilled(self, graph: Graph) -> Exported | None:
        """The same with the weights of another graph of the same structure; None where their shapes differ.

        Exporting is most of what training costs, and of a refit, or of another job like it, only weights are new.
        """
        weights = {SERVED + name: tensor.numpy() for name, tensor in graph.state_dict().items()}
        models = [onnx.load_from_string(one) for one in (self.model, self.full)]
        for tensor in [one for model in models for one in model.graph.initializer if one.name in weights]:
            value = weights[tensor.name]
            if list(tensor.dims) != list(value.shape):
                return None
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
        return Exported(*(bytes(model.SerializeToString(deterministic=True)) for model in models))


def export(graph: Graph, length: int, kind: bytes | None = None) -> Exported:
    """Export a fitted graph for windows of `length` ticks: one part gives errors, the other the rest.

    Graphs of one `kind` have one structure: what this process has exported before is filled with the new weights.
    Raises ExportRefused where it cannot be exported, or holds a random operator: a score must be the same every time.
    """
    known = _known.get((kind, length, len(graph.scored)))
    refilled = known and known.refilled(graph)
    if refilled:
        return refilled
    whole = _export(graph, length)
    _refuse_random(whole)
    exported = Exported(_part(whole, ERRORS), _part(whole, REST))
    if kind is not None:
        _known[kind, length, len(graph.scored)] = exported
        if len(_known) > KEPT:
            del _known[next(iter(_known))]
    return exported


def _export(graph: Graph, length: int) -> onnx.ModelProto:
    channels = len(graph.scored)
    batch = torch.export.Dim("batch")
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                FullGraph(graph).eval(),
                (torch.zeros(2, length, channels), torch.ones(2, 3, channels)),
                input_names=["windows", "profile"],
                output_names=[*ERRORS, *REST],
                dynamic_shapes=({0: batch}, {0: batch}),
                dynamo=True,
                optimize=False,  # it would fold weights into constants without names; the runtime does so on its own
                verbose=False,
            )
        except Exception as error:  # the exporter's errors share no parent
            raise ExportRefused(
                f"torch {torch.__version__} cannot export this autoencoder: {error}; see what it is made of, "
                "or try another version of torch or onnxscript"
            ) from error
    assert program is not None  # noqa: S101
    return program.model_proto


def _refuse_random(model: onnx.ModelProto) -> None:
    found = {node.op_type for graph in _graphs(model) for node in graph.node} & RANDOM
    if found:
        raise ExportRefused(
            f"the graph holds random operators ({', '.join(sorted(found))}); "
            "an autoencoder must be deterministic in evaluation mode"
        )


def _part(whole: onnx.ModelProto, outputs: tuple[str, ...]) -> bytes:
    """What of a model its named outputs need, without the exporter's traces: bytes that depend on the graph alone."""
    model = onnx.ModelProto()
    model.CopyFrom(whole)
    graph = model.graph
    needed = set(outputs)
    nodes = []
    for node in reversed(graph.node):  # in the order of evaluation
        if needed & set(node.output):
            nodes.append(node)
            needed |= _read(node)
    _keep(graph.node, list(reversed(nodes)))
    _keep(graph.initializer, [one for one in graph.initializer if one.name in needed])
    _keep(graph.output, [one for one in graph.output if one.name in outputs])
    _keep(graph.value_info, [])
    _keep(model.metadata_props, [])
    for inner in _graphs(model):
        _keep(inner.metadata_props, [])
        for entry in [*inner.node, *getattr(inner, "initializer", [])]:
            entry.doc_string = ""
            _keep(entry.metadata_props, [])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _read(node: onnx.NodeProto) -> set[str]:
    """The names that a node reads; also what the graphs inside it take from around them."""
    inner = [one for attribute in node.attribute for one in _inside(attribute)]
    names = {name for graph in inner for one in graph.node for name in _read(one)}
    return names.union(node.input, (output.name for graph in inner for output in graph.output))


def _keep(entries: Any, kept: list[Any]) -> None:
    """Leave only some entries of a repeated field."""
    copies = [type(one).FromString(one.SerializeToString()) for one in kept]
    del entries[:]
    entries.extend(copies)


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """The graph, the graphs inside its nodes, and its functions."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += _inside(attribute)


def _inside(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


_known: dict[tuple[bytes | None, int, int], Exported] = {}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter is known to say: attention's fast path is off, its own warnings are dropped."""
    fast = torch.backends.mha.get_fastpath_enabled()
    log = logging.getLogger("torch.onnx")
    level = log.level
    torch.backends.mha.set_fastpath_enabled(False)
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category, message in KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        log.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fast)


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
