"""RELU behind an op that can clamp by itself → its fused activation."""

from __future__ import annotations

import copy

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.moves import Chain, chain_before, repeat_chain
from portrait_tflite.convert.rewrites.flatbuffer.place import computed_inputs
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import form_of
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
        y = RELU(MAX_POOL_2D(CONV_2D(x)))    # or another move of numbers

    Result:
        y = CONV_2D(x; RELU)
        y = MAX_POOL_2D(CONV_2D(x; RELU))

    In int8 only where both outputs have one scale and zero point: otherwise the first rounding
    would be missing.
    """

    name = "fuse_clamp"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a clamp whose producer has no activation yet."""
        if node.op not in _FUSED:
            return None
        middle, target = node.given()[0], node.outputs[0]
        chain = chain_before(model, middle.index)
        if chain is None or chain.producer.op not in _CLAMPING:
            return None
        if chain.producer.option("fusedActivationFunction", 0):
            return None
        # `ReluToQuantize` and `FuseRequantize` take these.
        written = (n.outputs[0] for n in (chain.producer, *chain.moves))
        if any(form_of(operand) != form_of(target) for operand in written):
            return None
        sources = tuple(dict.fromkeys(computed_inputs(model, chain.producer)))
        return Match("the producer clamps the same numbers", chain, sources=sources)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the producer with the activation, and the moves; the first ones are dead then."""
        chain: Chain = match.details
        producer = chain.producer
        options = copy.copy(producer.options)
        options.fusedActivationFunction = _FUSED[node.op]
        built = Replacement(model, node)
        clamping = Op(producer.op, producer.version, options)
        repeat_chain(built, model, chain, clamping, node.outputs[0])
        built.finish()
