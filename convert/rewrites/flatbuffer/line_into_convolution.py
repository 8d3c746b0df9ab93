"""MUL and ADD with numbers per channel behind a float convolution → its weights and bias."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.channel_line import read_line
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values
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


@dataclass(frozen=True)
class _Layout:
    """Where a kind of convolution has what.

    Attributes:
        bias: Its place among the inputs, the last; the weights are the second.
        filters: Axis of the weights.
        version: The first that takes a bias.
    """

    bias: int
    filters: int
    version: int


_LAYOUTS = {
    "CONV_2D": _Layout(bias=2, filters=0, version=1),
    "DEPTHWISE_CONV_2D": _Layout(bias=2, filters=3, version=1),
    "TRANSPOSE_CONV": _Layout(bias=3, filters=0, version=3),
}


class LineIntoConvolution(FlatbufferRewrite):
    """Let a convolution scale and shift its own channels.

    Given:
        y = ADD(CONV_2D(x, w, b), c)    # float; or MUL, SUB, DIV; c: a number per channel

    Result:
        y = CONV_2D(x, w, b + c)        # behind a MUL: c·w and c·b

    So converters spelt the bias of TRANSPOSE_CONV before it had one, and batch normalizations that
    they did not fold. In int8 both ops have rounded; a float file is rewritten before it is int8.
    """

    name = "line_into_convolution"
    reorders_sums = True
    before_int8 = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a line per channel of a convolution that nobody else reads."""
        line = read_line(node, "float32")
        producer = None if line is None else producer_of(model, line.source.index)
        if line is None or producer is None or producer.op not in _LAYOUTS:
            return None
        if count_readers(model, line.source.index) > 1:
            return RefusedOp(node.tensor, "another op reads the convolution too")
        # What was clamped is no line of the sums any more.
        if producer.option("fusedActivationFunction", 0):
            return None
        held = [held_values(model, operand) for operand in _weights_and_bias(producer)]
        if any(values is None or values.dtype != np.float32 for values in held):
            return RefusedOp(node.tensor, "its weights are no constants of float32")
        if producer.op == "TRANSPOSE_CONV" and node.option("fusedActivationFunction", 0):
            return RefusedOp(node.tensor, "the GPU takes no TRANSPOSE_CONV with an activation")
        sources = computed_inputs(model, producer)
        details = producer, line, held
        return Match("linear before and behind", details, exact=False, sources=sources)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution with other constants."""
        producer, line, (kernel, *biases) = match.details
        layout = _LAYOUTS[producer.op]
        weights, *bias = _weights_and_bias(producer)
        filters = np.ones(4, np.int64)
        filters[layout.filters] = -1
        scaled = kernel * line.factors.reshape(filters)
        before = biases[0].ravel() if biases else np.zeros(1)
        shifted = before * line.factors + line.offsets
        built = Replacement(model, node)
        inputs = indices(model.subgraphs[0].operators[producer.index].inputs)[: layout.bias]
        inputs[1] = built.constant_like(scaled.astype(np.float32), weights)
        inputs.append(built.constant_like(shifted.astype(np.float32), (weights, *bias)[-1]))
        options = copy.copy(producer.options)
        options.fusedActivationFunction = int(node.option("fusedActivationFunction", 0))
        version = max(producer.version, layout.version)
        built.op(Op(producer.op, version, options), inputs)
        built.finish()


def _weights_and_bias(convolution: Node) -> list[Operand]:
    place = _LAYOUTS[convolution.op].bias
    return [o for o in (convolution.inputs[1], *convolution.inputs[place:]) if o is not None]
