"""The average of every window, as a DEPTHWISE_CONV_2D of constant weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.paddings import VALID
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op


def average_windows(built: Replacement, node: Node, window: tuple[int, int]) -> None:
    """Add the convolution, with the strides, padding and activation of a pool.

    Args:
        node: A pool of a float, int8 or uint8 picture `[1, h, w, c]`.
        window: Height and width in pixels.
    """
    options = schema.DepthwiseConv2DOptionsT(
        padding=node.option("padding"),
        strideW=node.option("strideW"),
        strideH=node.option("strideH"),
        depthMultiplier=1,
        dilationWFactor=1,
        dilationHFactor=1,
        fusedActivationFunction=node.option("fusedActivationFunction"),
    )
    source = node.given()[0]
    _average(built, source, source.index, window, options)


def every_pixel(built: Replacement, source: Operand, number: int, strides: tuple[int, int]) -> None:
    """Add the convolution that takes every n-th pixel, from the first one on.

    Args:
        source: A float, int8 or uint8 picture `[1, h, w, c]`.
        number: The tensor to read: `source`, or rows and columns of it.
        strides: Rows and columns from one pixel to the next.
    """
    options = schema.DepthwiseConv2DOptionsT(
        padding=VALID,
        strideW=strides[1],
        strideH=strides[0],
        depthMultiplier=1,
        dilationWFactor=1,
        dilationHFactor=1,
    )
    _average(built, source, number, (1, 1), options)


def _average(
    built: Replacement, source: Operand, number: int, window: tuple[int, int], options: Any
) -> None:
    constants = _integers(built, source, window) if source.scale else _floats(built, source, window)
    version = 3 if source.scale else 1
    built.op(Op("DEPTHWISE_CONV_2D", version, options), [number, *constants])


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
