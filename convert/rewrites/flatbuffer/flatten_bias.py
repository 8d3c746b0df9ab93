"""Bias `[1, 1, 1, c]` of a TRANSPOSE_CONV → `[c]`: XNNPACK takes no other."""

from __future__ import annotations

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand, list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite, Match, RefusedOp

_BIAS = 3  # inputs of TRANSPOSE_CONV: output shape, filter, input, bias


class FlattenBias(FlatbufferRewrite):
    """Give a transposed convolution's bias the one rank that XNNPACK accepts.

    Given:
        y = TRANSPOSE_CONV(shape, filter, x, bias)    # bias: constant [1, 1, 1, c]

    Result:
        y = TRANSPOSE_CONV(shape, filter, x, bias)    # bias: [c], the same numbers

    TensorFlow's converter writes the bias of a stride-1 transposed convolution in four dimensions.
    The built-in kernels count its elements only.
    """

    name = "flatten_bias"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a transposed convolution whose constant bias has more than one dimension."""
        if node.op != "TRANSPOSE_CONV" or len(node.inputs) <= _BIAS:
            return None
        bias, weights = node.inputs[_BIAS], node.inputs[1]
        # No bias, or one that is flat already.
        if bias is None or weights is None or len(bias.shape) == 1:
            return None
        # A computed bias is not in the file; its shape is another op's affair.
        if (chain := _to_constant(model, bias)) is None:
            return RefusedOp(node.tensor, "its bias is computed")
        # Not one number per output channel: some other layout that we do not know.
        if not bias.sized or bias.size != weights.shape[0] or bias.shape[-1] != bias.size:
            return RefusedOp(node.tensor, f"its bias has the shape {list(bias.shape)}")
        # Another op may want the four dimensions.
        if any(_readers(model, tensor) != 1 for tensor in chain):
            return RefusedOp(node.tensor, "its bias is shared")
        return Match("the same numbers in one dimension", chain, sources=(node.given()[2].index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Replace the shape of the bias and of what it is unpacked from; the data stay."""
        for index in match.details:
            tensor = model.subgraphs[0].tensors[index]
            tensor.shape, tensor.shapeSignature = np.array([tensor.shape[-1]], np.int32), None
            if tensor.quantization is not None:
                tensor.quantization = copy.copy(tensor.quantization)
                tensor.quantization.quantizedDimension = 0


def _to_constant(model: schema.ModelT, bias: Operand) -> list[int] | None:
    """List the tensors from the bias back to its constant: one, or two in a float16 file."""
    if bias.constant:
        return [bias.index]
    producer = next((n for n in list_nodes(model) if bias in n.outputs), None)
    if producer is None or producer.op != "DEQUANTIZE" or not producer.given()[0].constant:
        return None
    return [bias.index, producer.given()[0].index]


def _readers(model: schema.ModelT, tensor: int) -> int:
    return sum(indices(operator.inputs).count(tensor) for operator in model.subgraphs[0].operators)
