"""TensorFlow ops without a TFLite builtin that are one under another name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

_PATCHES = "ExtractImagePatches"


def with_builtins(concrete: Any) -> Any:
    """Return a concrete function whose patches are ops that TFLite has.

    Given:  ExtractImagePatches(x; k×k, strides)
    Result: SpaceToDepth(x; k) where they lie side by side, else
            Conv2D(x; k×k, strides), ones where a number is taken

    Layers of the user's own call it (`tf.image.extract_patches`). Its variables become constants;
    a function without patches is returned as it is.
    """
    written = concrete.graph.as_graph_def()
    nodes = [*written.node, *(n for body in written.library.function for n in body.node_def)]
    if not any(node.op == _PATCHES for node in nodes):
        return concrete
    frozen = convert_variables_to_constants_v2(concrete)
    graph = frozen.graph.as_graph_def()
    for node in [node for node in graph.node if node.op == _PATCHES]:
        source = frozen.graph.get_operation_by_name(node.name).inputs[0]
        if source.dtype.is_floating:  # there is no convolution of integers
            _rename(graph, node, source)
    whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    return whole.prune(
        *(
            [whole.graph.get_tensor_by_name(tensor.name) for tensor in ends]
            for ends in (frozen.inputs, frozen.outputs)
        )
    )


def _rename(graph: Any, node: Any, source: Any) -> None:
    """Make a node of the graph, in place, the op that takes the same numbers."""
    rows, columns = node.attr["ksizes"].list.i[1:3]
    _, height, width, channels = source.shape
    alike = rows == columns == node.attr["strides"].list.i[1] == node.attr["strides"].list.i[2]
    whole = height is not None and width is not None and not (height % rows or width % columns)
    if alike and whole and rows > 1 and set(node.attr["rates"].list.i) == {1}:
        node.op = "SpaceToDepth"
        node.attr["block_size"].i = rows
        dropped = ["ksizes", "padding", "rates", "strides"]
    else:
        kernel = _ones(graph, f"{node.name}/ones", (rows, columns, channels), source.dtype)
        node.op = "Conv2D"
        node.input.insert(1, kernel)
        node.attr["dilations"].CopyFrom(node.attr["rates"])
        dropped = ["ksizes", "rates"]
    for name in dropped:
        del node.attr[name]


def _ones(graph: Any, name: str, patch: tuple[int, ...], kind: Any) -> str:
    """Add the kernel that takes every number of a patch, and return its name."""
    numbers = math.prod(patch)
    ones = np.eye(numbers, dtype=kind.as_numpy_dtype).reshape(*patch, numbers)
    kernel = graph.node.add(name=name, op="Const")
    kernel.attr["dtype"].type = kind.as_datatype_enum
    kernel.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(ones))
    return name
