"""RELU behind an op that can clamp by itself → its fused activation."""

from __future__ import annotations

import copy

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.flatbuffer import indices
from portrait_tflite.convert.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.place import (
    computed_inputs,
    count_readers,
    producer_of,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_FUSED = {"RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}  # the schema's numbers

# Not TRANSPOSE_CONV: with an activation it is of version 4, which the GPU delegate refuses.
_CLAMPING = frozenset({"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "SUB"})


class FuseClamp(FlatbufferRewrite):
    """Let the producer clamp.

    Given:
        y = RELU(CONV_2D(x))     # or another pair; nobody else reads between the two

    Result:
        y = CONV_2D(x; RELU)

    In int8 only where both outputs have one scale and zero point: otherwise the first rounding
    would be missing.
    """

    name = "fuse_clamp"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a clamp whose producer has no activation yet."""
        if node.op not in _FUSED:
            return None
        middle, target = node.given()[0], node.outputs[0]
        producer = producer_of(model, middle.index)
        if producer is None or producer.op not in _CLAMPING:
            return None
        if producer.option("fusedActivationFunction", 0) or count_readers(model, middle.index) != 1:
            return None
        # `ReluToQuantize` takes these.
        if (middle.scale, middle.zero_point) != (target.scale, target.zero_point):
            return None
        sources = tuple(dict.fromkeys(computed_inputs(model, producer)))
        return Match("the producer clamps the same numbers", producer, sources=sources)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the producer with the activation; the first one is dead then."""
        producer: Node = match.details
        options = copy.copy(producer.options)
        options.fusedActivationFunction = _FUSED[node.op]
        inputs = indices(model.subgraphs[0].operators[producer.index].inputs)
        built = Replacement(model, node)
        built.op(Op(producer.op, producer.version, options), inputs)
        built.finish()
