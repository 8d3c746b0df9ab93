"""Guess the Keras layer behind a tensor of a `.tflite`.

Tensor names keep the scopes of tracing, `net/block_1/conv/Relu;net/block_1/conv/BiasAdd`: several
where ops were fused. In a model that is traced twice every scope is counted up, `net_1/conv_1`
for the layer `conv`: then every layer has such a suffix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes

_SUFFIX = re.compile(r"_\d+$")
_CALLS = re.compile(r"^(Stateful)?PartitionedCall(_\d+)?(:\d+)?$")


def name_layers(model: schema.ModelT, layers: Iterable[str] = ()) -> Callable[[str], str]:
    """Make a function from a tensor's name to its Keras layer, or "" where that cannot be told.

    Args:
        model: The file; the scopes that all its tensors share are the network's own.
        layers: Names of the Keras layers where they are known; otherwise the scope is believed.
    """
    known = frozenset(layers)
    paths = [path for node in list_nodes(model) if (path := _scopes(node.tensor))]
    depth = _shared_depth(paths)
    retraced = bool(paths) and all(
        _SUFFIX.search(path[depth]) and (depth == 0 or _SUFFIX.search(path[0])) for path in paths
    )

    def name_of(tensor: str) -> str:
        path = _scopes(tensor)
        if known:
            found = (_known(scope, known, retraced) for scope in reversed(path))
            return next((name for name in found if name), "")
        if len(path) <= depth:
            return ""
        return _SUFFIX.sub("", path[depth]) if retraced else path[depth]

    return name_of


def _scopes(tensor: str) -> list[str]:
    """Split the first name that has scopes, without the op's own name at its end."""
    for name in tensor.split(";"):
        parts = [part for part in name.split("/") if not _CALLS.match(part)]
        if len(parts) > 1:
            return parts[:-1]
    return []


def _shared_depth(paths: Sequence[Sequence[str]]) -> int:
    """Count the leading scopes that all share; at least one scope stays for the layer."""
    if not paths:
        return 0
    shared = sum(
        1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    )
    return min(shared, min(len(path) for path in paths) - 1)


def _known(scope: str, known: frozenset[str], retraced: bool) -> str:
    bare = _SUFFIX.sub("", scope)
    order = (bare, scope) if retraced else (scope, bare)
    return next((name for name in order if name in known), "")
