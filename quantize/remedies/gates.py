"""Gates, as of squeeze-and-excite: what multiplies each channel of a picture by one number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand, list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.constants import per_channel
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_UNBOUNDED = (schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU)


@dataclass(frozen=True)
class Gate:
    """A MUL of a picture with a number per channel.

    Attributes:
        factors: The numbers `[1, 1, 1, c]`.
        picture: What they multiply `[1, h, w, c]`.
        product: What comes of it `[1, h, w, c]`.
    """

    factors: Operand
    picture: Operand
    product: Operand


def read_gate(node: Node) -> Gate | None:
    """Read an op as a gate; None where it is none, or bounds the product."""
    if node.op != "MUL" or len(node.given()) != 2:
        return None
    one, other = node.given()
    product = node.outputs[0]
    factors, picture = (one, other) if _per_channel(one) else (other, one)
    if factors.constant or picture.constant or not _unbounded(node):
        return None
    if not _per_channel(factors) or _per_channel(picture) or picture.shape != product.shape:
        return None
    return Gate(factors, picture, product)


def scalable_gates(data: bytes) -> bytes:
    """Let the last multiplication of a gate have a weight for each channel.

    Given:
        g = MUL(x, m)    # float; m: a constant, as the 1/6 of a hard sigmoid; g: factors of a gate

    Result:
        g = DEPTHWISE_CONV_2D(x; weights m)    # 1×1, and in int8 a scale for each channel

    The same bytes where nothing is like that.
    """
    model = read_model(data)
    nodes = list_nodes(model)
    gates = [gate for gate in map(read_gate, nodes) if gate]
    factors = {gate.factors.index for gate in gates}
    found = [node for node in nodes if node.outputs[0].index in factors and _line(node)]
    for node in found:
        _put_weights(model, node)
    return serialize(model) if found else data


def _unbounded(node: Node) -> bool:
    return int(node.option("fusedActivationFunction", 0)) in _UNBOUNDED


def _per_channel(operand: Operand) -> bool:
    return len(operand.shape) == 4 and operand.size == operand.shape[-1] > 1


def _line(node: Node) -> tuple[Operand, Operand] | None:
    """Return what a constant multiplies, and the constant; None of another op."""
    if node.op != "MUL" or not _unbounded(node):
        return None
    source, constant = sorted(node.given(), key=lambda operand: operand.constant)
    if source.constant or not constant.constant or source.dtype != "float32":
        return None
    known = per_channel(constant, source.shape[-1]) is not None
    return (source, constant) if known and source.shape == node.outputs[0].shape else None


def _put_weights(model: schema.ModelT, node: Node) -> None:
    line = _line(node)
    assert line is not None
    source, constant = line
    channels = source.shape[-1]
    factors = per_channel(constant, channels)
    weights = np.asarray(factors, np.float32).reshape(1, 1, 1, channels)
    options = schema.DepthwiseConv2DOptionsT(
        strideW=1,
        strideH=1,
        depthMultiplier=1,
        dilationWFactor=1,
        dilationHFactor=1,
        fusedActivationFunction=int(node.option("fusedActivationFunction", 0)),
    )
    built = Replacement(model, node)
    bias = built.constant(np.zeros(channels, np.float32))
    inputs = [source.index, built.constant(weights), bias]
    built.op(Op("DEPTHWISE_CONV_2D", 1, options), inputs)
    built.finish()
