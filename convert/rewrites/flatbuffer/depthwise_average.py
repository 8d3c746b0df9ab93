"""The average of every window, as a DEPTHWISE_CONV_2D of constant weights."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op


def average_windows(built: Replacement, node: Node, window: tuple[int, int]) -> None:
    """Add the convolution, with the strides, padding and activation of a pool.

    Args:
        node: A pool of a float, int8 or uint8 picture `[1, h, w, c]`.
        window: Height and width in pixels.
    """
    source = node.given()[0]
    options = schema.DepthwiseConv2DOptionsT(
        padding=node.option("padding"),
        strideW=node.option("strideW"),
        strideH=node.option("strideH"),
        depthMultiplier=1,
        dilationWFactor=1,
        dilationHFactor=1,
        fusedActivationFunction=node.option("fusedActivationFunction"),
    )
    constants = _integers(built, source, window) if source.scale else _floats(built, source, window)
    version = 3 if source.scale else 1
    built.op(Op("DEPTHWISE_CONV_2D", version, options), [source.index, *constants])


def _integers(built: Replacement, source: Operand, window: tuple[int, int]) -> tuple[int, int]:
    channels = source.shape[-1]
    share = 1 / (window[0] * window[1])
    # Unsigned weights have one scale for all channels.
    signed = source.dtype == "int8"
    scales = [share] * (channels if signed else 1)
    weights = built.constant(
        np.ones((1, *window, channels), source.dtype), scales, axis=3 if signed else 0
    )
    bias = np.zeros(channels, np.int32)
    return weights, built.constant(bias, [scale * source.scale for scale in scales])


def _floats(built: Replacement, source: Operand, window: tuple[int, int]) -> tuple[int, int]:
    channels = source.shape[-1]
    share = 1 / (window[0] * window[1])
    weights = built.constant(np.full((1, *window, channels), share, np.float32))
    return weights, built.constant(np.zeros(channels, np.float32))
