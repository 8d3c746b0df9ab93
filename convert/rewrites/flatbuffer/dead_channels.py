"""Filters whose scale is no usable number → filters of zeros: what XNNPACK refuses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}  # the dimension of a filter's scales
_USABLE = float(np.finfo(np.float32).tiny)  # XNNPACK takes no scale of 0 and none below normal ones
_LARGEST_STEPS = 255  # between a value and its zero point


@dataclass(frozen=True)
class _Filters:
    """Weights `[taps, c]`, their scales `[c]` and the bias `[c]`, as stored."""

    weights: NDArray[np.int64]
    scales: NDArray[np.float64]
    bias: NDArray[np.int64]


class DeadChannels(FlatbufferRewrite):
    """Write filters that never reach half a step as zeros.

    Given:
        y = CONV_2D(x; weights, bias)    # or DEPTHWISE_CONV_2D; int8; some scales are 0 or so small
                                         # that XNNPACK refuses the op, or the whole file

    Result:
        y = CONV_2D(x; weights, bias)    # of those channels all 0, with the scale of another one

    Channels that training has switched off end like this: y is at its zero point there.
    """

    name = "dead_channels"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an int8 convolution with scales that stand for nothing."""
        if node.op not in _AXES or len(node.given()) != 3:
            return None
        source, weights, bias = node.given()
        if weights.dtype != "int8" or weights.data is None or bias.data is None:
            return None
        if weights.channels < 2 or not source.scale or not node.outputs[0].scale:
            return None
        scales = _scales(model, weights)
        unusable = (scales < _USABLE) | (_scales(model, bias) < _USABLE)
        if not unusable.any():
            return None
        if unusable.all():
            return RefusedOp(node.tensor, "none of its channels has a scale")
        filters = _Filters(_by_channel(weights, node.op), scales, stored_values(bias).astype(int))
        if _reach(filters, source, node.outputs[0])[unusable].max() >= 0.5:
            return RefusedOp(node.tensor, "a channel of a very small scale is heard")
        return Match("these channels never reach half a step", (filters, unusable))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution with zeros in the dead channels."""
        filters, dead = match.details
        source, weights = node.given()[:2]
        scales = np.where(dead, filters.scales[~dead].max(), filters.scales)
        zeroed = np.where(dead, 0, filters.weights).astype(np.int8)
        if node.op == "CONV_2D":
            zeroed = zeroed.T
        built = Replacement(model, node)
        inputs = indices(model.subgraphs[0].operators[node.index].inputs)
        inputs[1] = built.constant(
            zeroed.reshape(weights.shape), [float(s) for s in scales], axis=_AXES[node.op]
        )
        bias = np.where(dead, 0, filters.bias).astype(np.int32)
        inputs[2] = built.constant(bias, [float(s * source.scale) for s in scales])
        built.op(Op(node.op, node.version, node.options), inputs)
        built.finish()


def _scales(model: schema.ModelT, operand: Operand) -> NDArray[np.float64]:
    return np.asarray(model.subgraphs[0].tensors[operand.index].quantization.scale, np.float64)


def _by_channel(weights: Operand, op: str) -> NDArray[np.int64]:
    stored = stored_values(weights).astype(np.int64)
    if op == "CONV_2D":
        return stored.reshape(weights.shape[0], -1).T
    return stored.reshape(-1, weights.shape[3])


def _reach(filters: _Filters, source: Operand, target: Operand) -> NDArray[np.float64]:
    """Return the most steps of the output that each channel can make, `[c]`."""
    most = np.abs(filters.weights).sum(axis=0) * _LARGEST_STEPS + np.abs(filters.bias)
    return np.asarray(most * filters.scales * source.scale / target.scale, np.float64)
