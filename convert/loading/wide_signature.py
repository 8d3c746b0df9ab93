"""The signature of a SavedModel that computes in half floats, in float32.

`TFLiteConverter` has no float16 or bfloat16 convolutions. Widened, every number that the half
floats held is held still.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

_WIDE = types_pb2.DT_FLOAT
_NARROW = frozenset({types_pb2.DT_HALF, types_pb2.DT_BFLOAT16})


def is_narrow(signature: Any) -> bool:
    """Tell whether a signature computes in half floats anywhere."""
    graph = signature.graph.as_graph_def()
    nodes = [*graph.node, *(n for body in graph.library.function for n in body.node_def)]
    return any(attribute.type in _NARROW for node in nodes for attribute in node.attr.values())


def widened(signature: Any) -> Callable[..., Any]:
    """Return a signature as a function of the same inputs, by name, that computes in float32.

    Given:  Cast(x → half) → Conv2D(half) → Cast(→ float)
    Result: Cast(x → float) → Conv2D(float) → Cast(→ float); the casts change nothing

    Its variables become constants.
    """
    frozen = convert_variables_to_constants_v2(signature)
    graph = frozen.graph.as_graph_def()
    for body in graph.library.function:
        for argument in (*body.signature.input_arg, *body.signature.output_arg):
            argument.type = _wide(argument.type)
    for node in (*graph.node, *(n for body in graph.library.function for n in body.node_def)):
        _widen(node)
    whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    _, inputs = signature.structured_input_signature
    names = sorted(inputs)  # the order of its tensors
    computed = whole.prune(
        *(
            [whole.graph.get_tensor_by_name(tensor.name) for tensor in ends]
            for ends in (frozen.inputs, frozen.outputs)
        )
    )
    made = signature.structured_outputs
    return lambda **given: tf.nest.pack_sequence_as(made, computed(*(given[n] for n in names)))


def _widen(node: Any) -> None:
    """Change the types of an op, and the values of a constant, in place."""
    for attribute in node.attr.values():
        kind = attribute.WhichOneof("value")
        if kind == "type":
            attribute.type = _wide(attribute.type)
        elif kind == "list":
            attribute.list.type[:] = [_wide(each) for each in attribute.list.type]
        elif kind == "tensor" and attribute.tensor.dtype in _NARROW:
            values = tf.make_ndarray(attribute.tensor).astype("float32")
            attribute.tensor.CopyFrom(tf.make_tensor_proto(values))


def _wide(kind: int) -> int:
    return _WIDE if kind in _NARROW else kind
