"""Export: the graphs as ONNX.

B windows, T ticks, C channels, K numbers of a code, Q context channels.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from streamae.errors import ExportRefused
from streamae.training.autoencoders.network import Network
from streamae.training.graph import DecoderGraph, FullGraph, Graph

ERRORS = ("error", "settled_error", "channel_error")  # of model.onnx
REST = ("reconstruction", "embedding")  # of full.onnx
CODE = ("embedding",)  # of encoder.onnx
KEPT = 64  # exports that a process keeps, to be filled with other weights
SERVED, NETWORK = "served.", "network."  # what the names of weights begin with in FullGraph and in DecoderGraph
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


@dataclass(frozen=True)
class Exported:
    """The graphs as ONNX, by the names that an Artifact has for them."""

    model: bytes
    full: bytes
    encoder: bytes
    decoder: bytes = b""  # where the code can be sampled

    def refilled(self, graph: Graph) -> Exported | None:
        """The same with the weights of another graph of the same structure; None where their shapes differ.

        Exporting is most of what training costs, and of a refit, or of another job like it, only weights are new.
        """
        weights = {SERVED + name: tensor.numpy() for name, tensor in graph.state_dict().items()}
        weights |= {NETWORK + name: tensor.numpy() for name, tensor in graph.parts[-1].state_dict().items()}
        models = {name: onnx.load_from_string(one) for name, one in vars(self).items() if one}
        for tensor in [one for model in models.values() for one in model.graph.initializer if one.name in weights]:
            value = weights[tensor.name]
            if list(tensor.dims) != list(value.shape):
                return None
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
        return Exported(**{name: bytes(model.SerializeToString(deterministic=True)) for name, model in models.items()})


def export(graph: Graph, length: int, kind: bytes | None = None) -> Exported:
    """Export a fitted graph for windows of `length` ticks: one part gives errors, the other the rest.

    Graphs of one `kind` have one structure: what this process has exported before is filled with the new weights.
    Raises ExportRefused where it cannot be exported, or holds a random operator: a score must be the same every time.
    """
    known = _known.get((kind, length, len(graph.scored)))
    refilled = known and known.refilled(graph)
    if refilled:
        return refilled
    whole = _export_full(graph, length)
    exported = Exported(_part(whole, ERRORS), _part(whole, REST), _part(whole, CODE), _export_decoder(graph, length))
    if kind is not None:
        _known[kind, length, len(graph.scored)] = exported
        if len(_known) > KEPT:
            del _known[next(iter(_known))]
    return exported


def _export_full(graph: Graph, length: int) -> onnx.ModelProto:
    channels = len(graph.scored)
    inputs = {"windows": torch.zeros(2, length, channels), "profile": torch.ones(2, 3, channels)}
    return _export(FullGraph(graph), inputs, [*ERRORS, *REST])


def _export_decoder(graph: Graph, length: int) -> bytes:
    """Of a network whose code can be sampled; of others nothing."""
    network = graph.parts[-1]
    if not isinstance(network, Network) or not network.objective.generates:
        return b""
    inputs = {"code": torch.zeros(2, network.code), "profile": torch.ones(2, 3, len(graph.scored))}
    if network.conditions:
        inputs["context"] = torch.zeros(2, length, len(network.conditions))
    return _part(_export(DecoderGraph(network, length), inputs, ["reconstruction"]), ("reconstruction",))


def _export(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    batch = torch.export.Dim("batch")
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=outputs,
                dynamic_shapes=tuple({0: batch} for _ in inputs),
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
    _refuse_random(program.model_proto)
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
            entry.ClearField("doc_string")
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
