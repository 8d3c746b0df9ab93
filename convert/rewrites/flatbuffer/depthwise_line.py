"""`factor · x + offset` per channel, as a 1×1 DEPTHWISE_CONV_2D."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Operand
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

Floats = NDArray[np.float64]

_LARGEST_WEIGHT = 127
_LARGEST_BIAS = 2**30  # a bit below int32's, for the products that are added to it


def weight_scales(factors: Floats) -> Floats:
    """Choose a scale per channel such that its factor is the largest weight: no rounding."""
    magnitudes = np.abs(factors)
    # A channel that is switched off needs some scale for its offset.
    magnitudes[magnitudes == 0] = magnitudes.max(initial=0.0) or 1.0
    return np.asarray(magnitudes / _LARGEST_WEIGHT, np.float64)


def offsets_fit(source: Operand, factors: Floats, offsets: Floats) -> bool:
    """Tell whether the offsets can be written as a bias of the products' scale."""
    steps = offsets / (weight_scales(factors) * source.scale)
    return bool(np.all(np.abs(steps) < _LARGEST_BIAS))


def draw_lines(
    built: Replacement, source: Operand, factors: Floats, offsets: Floats, activation: int
) -> None:
    """Add the convolution.

    Args:
        source: int8 `[1, h, w, c]`.
        factors: `[c]`.
        offsets: `[c]`, in real units.
        activation: The fused activation's number.
    """
    channels = len(factors)
    scales = weight_scales(factors)
    weights = (np.sign(factors) * _LARGEST_WEIGHT).astype(np.int8).reshape(1, 1, 1, channels)
    steps = scales * source.scale
    bias = np.round(offsets / steps).astype(np.int32)
    options = schema.DepthwiseConv2DOptionsT(
        strideW=1,
        strideH=1,
        depthMultiplier=1,
        dilationWFactor=1,
        dilationHFactor=1,
        fusedActivationFunction=activation,
    )
    inputs = [
        source.index,
        built.constant(weights, [float(scale) for scale in scales], axis=3),
        built.constant(bias, [float(step) for step in steps]),
    ]
    built.op(Op("DEPTHWISE_CONV_2D", 3, options), inputs)
