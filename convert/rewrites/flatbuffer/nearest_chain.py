"""Keras's nearest upsampling, a chain of RESHAPE and TILE at rank 5 → RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

# Where the batch was free, an EXPAND_DIMS stands before each TILE, and rows and columns are chains
# of their own: the first one is a resize by the time that the second is looked at.
_CHAIN = frozenset({"EXPAND_DIMS", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "SQUEEZE", "TILE"})


class NearestChain(FlatbufferRewrite):
    """Say in one op what five at rank 5 do; the later rewrites know that one.

    Given:
        y = RESHAPE(TILE(RESHAPE(TILE(RESHAPE(x)))))    # x: [1, h, w, c], y: [1, f·h, g·w, c]
                                                        # EXPAND_DIMS are reshapes, too

    Result:
        y = RESIZE_NEAREST_NEIGHBOR(x)
    """

    name = "nearest_chain"
    before_int8 = True  # for the convolution behind it

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match the last RESHAPE of a chain that enlarges a picture by whole factors."""
        if node.op != "RESHAPE":
            return None
        source = _start(model, node)
        target = node.outputs[0]
        # A reshape alone, or of anything but one picture.
        if source is None or len(source.shape) != 4 or len(target.shape) != 4:
            return None
        factors = upsampling_factors(source, target)
        return (
            Match("every pixel is repeated", source, sources=(source.index,)) if factors else None
        )

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the resize; the chain is dead then."""
        source: Operand = match.details
        built = Replacement(model, node)
        size = built.constant(np.array(node.outputs[0].shape[1:3], np.int32))
        version = 2 if source.dtype in LIMITS else 1
        options = schema.ResizeNearestNeighborOptionsT()
        built.op(Op("RESIZE_NEAREST_NEIGHBOR", version, options), [source.index, size])
        built.finish()


def upsampling_factors(source: Operand, target: Operand) -> tuple[int, int] | None:
    """Return the factors of height and width, or None where they are no whole ones."""
    if len(source.shape) != 4 or len(target.shape) != 4 or -1 in (*source.shape, *target.shape):
        return None
    (batch, height, width, depth), (images, rows, columns, channels) = source.shape, target.shape
    if (batch, images, depth) != (1, 1, channels) or rows % height or columns % width:
        return None
    factors = rows // height, columns // width
    return None if factors == (1, 1) else factors


def _start(model: schema.ModelT, node: Node) -> Operand | None:
    """Walk back over reshapes and TILE to the tensor that the chain starts from."""
    tiles = 0
    source = node.given()[0]
    while count_readers(model, source.index) == 1:
        producer = producer_of(model, source.index)
        if producer is None or producer.op not in _CHAIN:
            break
        tiles += producer.op == "TILE"
        source = producer.given()[0]
    return source if tiles else None
