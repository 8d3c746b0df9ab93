"""TRANSPOSE_CONV with an activation inside → one without, and the clamp behind it."""

from __future__ import annotations

import copy

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_CLAMPS = {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}  # by the schema's numbers
_CLAMPING = 4  # version of TRANSPOSE_CONV that may clamp; the GPU delegate takes up to 3
_SOURCE, _BIAS = 2, 3  # places among the inputs


class SeparateClamp(FlatbufferRewrite):
    """Put a float transposed convolution's activation behind it, for the GPU.

    Given:
        y = TRANSPOSE_CONV(shape, w, x, bias; RELU)    # version 4

    Result:
        y = RELU(TRANSPOSE_CONV(shape, w, x, bias))    # version 3; 1 without a bias

    A file has one version of an op for all its places, so that one without an activation may have
    to be brought down, too. Integers stay: they are not the GPU's, and clamping costs an op.
    """

    name = "separate_clamp"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a float TRANSPOSE_CONV of a version that the GPU delegate refuses."""
        if node.op != "TRANSPOSE_CONV" or node.version < _CLAMPING:
            return None
        if node.outputs[0].dtype != "float32":
            return None
        activation = int(node.option("fusedActivationFunction", 0))
        if activation and activation not in _CLAMPS:
            return RefusedOp(node.tensor, "its activation is no clamp")
        source = _source(node)
        return Match("the same clamp, as an op", activation, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution in the version that it needs, and the clamp where there is one."""
        options = copy.copy(node.options)
        options.fusedActivationFunction = 0
        inputs = [operand.index for operand in node.given()]
        version = 3 if len(inputs) > _BIAS else 1
        built = Replacement(model, node)
        plain = Op("TRANSPOSE_CONV", version, options)
        if match.details:
            target = built.tensor(node.outputs[0].shape, node.outputs[0])
            built.op(plain, inputs, target)
            built.op(Op(_CLAMPS[match.details], 1), [target])
        else:
            built.op(plain, inputs)
        built.finish()


def _source(node: Node) -> Operand:
    operand = node.inputs[_SOURCE]
    assert operand is not None
    return operand
