"""What rewrites made of one layer, from what a conversion left behind."""

from __future__ import annotations

from collections.abc import Iterable

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.convert.rewrites.registry import did_you_mean
from portrait_tflite.errors import UsageError
from portrait_tflite.pipeline.network import Network
from portrait_tflite.quantize.built import Built
from portrait_tflite.report.explanation import Explanation, Trail
from portrait_tflite.vocabulary import RewriteRecord, SkippedRewrite

Outcome = RewriteRecord | SkippedRewrite

_NAMED = 8  # layers that an error lists


def layers_of_graph(graph: Graph) -> dict[str, str]:
    """Map the names of a graph's layers to their classes."""
    return {node.name: type(node.op).__name__ for node in graph.nodes() if node.op is not None}


def layers_of_file(data: bytes) -> dict[str, str]:
    """Map the names of a finished file's layers, as far as it tells them, to their ops.

    Behind them come the names of the tensors that ops write, by which other tools know the ops.
    """
    model = read_model(data)
    name_of, nodes = name_layers(model), list_nodes(model)
    ops: dict[str, list[str]] = {}
    for name, node in ((name_of(node.tensor) or node.tensor, node) for node in nodes):
        ops.setdefault(name, []).append(node.op)
    layers = {name: ", ".join(dict.fromkeys(kinds)) for name, kinds in ops.items()}
    return layers | {node.tensor: node.op for node in nodes if node.tensor not in layers}


def require_layer(name: str | None, layers: Iterable[str]) -> None:
    """Raise a UsageError with the nearest name where there is no such layer; None is none."""
    known = list(layers)
    if name is None or name in known:
        return
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    raise UsageError(
        f"--rewrite-report takes a layer of the network, of a .tflite also the tensor that an op "
        f"writes ({', '.join(known[:_NAMED])}{more}). "
        f"Received: {name!r}.{did_you_mean(name, known)}"
    )


def explain_network(network: Network, layer: str, request: RewriteRequest) -> Explanation:
    """Say what each rewrite made of a layer.

    Args:
        network: Built, with what rewriting and mending left behind.
        layer: One of `network.named`.
        request: Which rewrites were allowed.
    """
    keras = {key: _in_graph(one, layer, request) for key, one in network.rewritings.items()}
    names = _names_in_files(layer, network)
    files = {name: _in_file(built, names, request) for name, built in network.built.items()}
    return Explanation(layer, network.named[layer], keras, files)


def _names_in_files(layer: str, network: Network) -> frozenset[str]:
    """Name the layer and those that rewrites of the Keras graph put in its place."""
    if not network.rewritings:
        return frozenset({layer, _layer_of_tensor(network.reference, layer)})
    names = {layer}
    added: set[str] = set()
    for one in network.rewritings.values():
        looks = (look for look in one.looks if layer in look.layers)
        names |= {look.outcome.layer for look in looks if isinstance(look.outcome, RewriteRecord)}
        added |= layers_of_graph(one.graph).keys() - network.named.keys()
    return frozenset(names | {new for new in added if any(new.startswith(f"{n}_") for n in names)})


def _layer_of_tensor(data: bytes, tensor: str) -> str:
    return name_layers(read_model(data))(tensor) or tensor


def _in_graph(rewritten: Rewritten, layer: str, request: RewriteRequest) -> Trail:
    outcomes = [look.outcome for look in rewritten.looks if layer in look.layers]
    return _trail(outcomes, [rewrite.name for rewrite in request.keras])


def _in_file(built: Built, layers: frozenset[str], request: RewriteRequest) -> Trail:
    outcomes: list[Outcome] = [*built.mended, *built.skipped]
    return _trail(
        [one for one in outcomes if one.layer in layers],
        [rewrite.name for rewrite in request.flatbuffer],
    )


def _trail(outcomes: Iterable[Outcome], names: Iterable[str]) -> Trail:
    known = list(outcomes)
    looked = {outcome.rewrite for outcome in known}
    return Trail(
        tuple(one for one in known if isinstance(one, RewriteRecord)),
        tuple(one for one in known if isinstance(one, SkippedRewrite)),
        tuple(name for name in names if name not in looked),
    )
