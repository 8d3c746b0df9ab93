"""Nearest resize, then a convolution in float → one convolution on the pixels that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values
from portrait_tflite.convert.rewrites.flatbuffer.joint_phases import JointPhases
from portrait_tflite.convert.rewrites.flatbuffer.nearest_chain import upsampling_factors
from portrait_tflite.convert.rewrites.flatbuffer.paddings import SAME
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.repeated import repeated_bias
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.phases import shortest_nearest_axis


class NearestConvolution(FlatbufferRewrite):
    """Compute a convolution behind a nearest resize at the low resolution.

    Given:
        y = CONV_2D(RESIZE_NEAREST_NEIGHBOR(x), w, b)    # float; by s×s, stride 1, any padding

    Result:
        y = SLICE(DEPTH_TO_SPACE(CONV_2D(PAD(x), w', b s² times), s))    # w': [s²·out, …]

    Weights that read the same pixel are added up, so that a kernel of 3 behind ×2 becomes one of 2,
    whose positions the SLICE moves to where they belong. In int8 such sums would be rounded anew; a
    float file is rewritten before it becomes int8.
    """

    name = "nearest_convolution"
    reorders_sums = True
    before_int8 = True
    keras_name = "nearest_upsampling_convolution"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a convolution behind a nearest resize by a whole factor that nobody else reads."""
        if node.op != "CONV_2D":
            return None
        large, weights, *bias = node.given()
        resize = producer_of(model, large.index)
        if resize is None or resize.op != "RESIZE_NEAREST_NEIGHBOR":
            return None
        held = [held_values(model, operand) for operand in (weights, *bias)]
        if reason := _unfit(node, large, held):
            return RefusedOp(node.tensor, reason)
        if count_readers(model, large.index) > 1:
            return RefusedOp(node.tensor, "another op reads the resized picture too")
        source = resize.given()[0]
        factors = upsampling_factors(source, large)
        if factors is None or factors[0] != factors[1] or resize.option("alignCorners"):
            return RefusedOp(node.tensor, "the resize is by no whole factor, the same both ways")
        joint = _joint(node, source, factors[0])
        reason = f"{weights.shape[1]}×{weights.shape[2]} behind ×{joint.stride}"
        details = source, joint, held[0]
        return Match(reason, details, exact=False, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution and the rearrangement."""
        source, joint, kernel = match.details
        _, stored, bias = node.given()
        built = Replacement(model, node)
        weights = built.constant_like(joint.weights(kernel), stored)
        repeated, _ = repeated_bias(model, bias, joint.stride**2)
        joint.put(built, node, source, weights, built.constant_like(repeated, bias))
        built.finish()


def _unfit(node: Node, large: Operand, held: Sequence[NDArray[Any] | None]) -> str:
    """Say why a convolution cannot be merged, or ""."""
    if large.dtype != "float32":
        return f"in {large.dtype} its weights would be sums, rounded anew"
    if len(held) != 2 or any(values is None or values.dtype != np.float32 for values in held):
        return "its weights and bias are no constants of float32"
    if (node.option("strideH", 1), node.option("strideW", 1)) != (1, 1):
        return "it drops positions, which ones depends on the phase"
    if node.given()[1].shape[3] != large.shape[3]:
        return "it has groups"
    return ""


def _joint(node: Node, source: Operand, factor: int) -> JointPhases:
    padding = "same" if int(node.option("padding", SAME)) == SAME else "valid"
    kernel = node.given()[1].shape[1:3]
    dilations = node.option("dilationHFactor", 1), node.option("dilationWFactor", 1)
    rows, columns = (
        shortest_nearest_axis(size, taps, factor, padding, int(dilation))
        for size, taps, dilation in zip(source.shape[1:3], kernel, dilations, strict=True)
    )
    return JointPhases(rows, columns, factor)
