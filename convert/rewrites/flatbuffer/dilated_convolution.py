"""SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND → one convolution with dilation."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.paddings import (
    SAME,
    VALID,
    Borders,
    same_borders,
)
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_PICTURE = 4  # dimensions
_DILATED_DEPTHWISE = 2  # the first version that has a dilation


@dataclass(frozen=True)
class _Parts:
    """The convolution between, what it is to read, and how.

    Attributes:
        convolution: As it stands between the two moves.
        options: Its options, with dilation and padding.
        source: What the first move reads.
        borders: Pixels (above, below), (left, right) to be added by a PAD; None where none are.
    """

    convolution: Node
    options: object
    source: Operand
    borders: Borders | None


class DilatedConvolution(FlatbufferRewrite):
    """Write a dilated convolution as one.

    TensorFlow's own spelling of it, which converters undo only where all sizes are known:

    Given:
        a = SPACE_TO_BATCH_ND(x; d, paddings)
        b = CONV_2D(a, VALID)    # or DEPTHWISE_CONV_2D
        y = BATCH_TO_SPACE_ND(b; d, crops)

    Result:
        y = CONV_2D(x; dilation d)    # SAME where that adds paddings - crops, else behind a PAD
    """

    name = "dilated_convolution"
    within_one_step = True  # in float; integers are the same
    before_int8 = True  # one scale instead of three

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match the last of the three ops."""
        if node.op != "BATCH_TO_SPACE_ND":
            return None
        convolution = _alone(model, node.given()[0])
        if convolution is None or convolution.op not in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            return RefusedOp(node.tensor, "no convolution alone stands before it")
        apart = _alone(model, convolution.given()[0])
        if apart is None or apart.op != "SPACE_TO_BATCH_ND":
            return RefusedOp(node.tensor, "no SPACE_TO_BATCH_ND stands before its convolution")
        source, target = apart.given()[0], node.outputs[0]
        if not (source.sized and target.sized) or len(source.shape) != _PICTURE:
            return RefusedOp(node.tensor, "a size is known only at run time")
        if any(operand.data is None for operand in (*apart.given()[1:], *node.given()[1:])):
            return RefusedOp(node.tensor, "its blocks are computed")
        if not _is_plain(convolution):
            return RefusedOp(node.tensor, "its convolution has strides, dilations or a padding")
        parts = _parts(apart, convolution, node)
        if parts is None:
            return RefusedOp(node.tensor, "it takes other blocks together, or crops the picture")
        # In float the sums may be taken in another order.
        return Match(
            "the same convolution, block by block", parts, exact=False, sources=(source.index,)
        )

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution with its dilation, and a PAD where it needs one."""
        parts: _Parts = match.details
        convolution, source = parts.convolution, parts.source
        built = Replacement(model, node)
        read = source.index
        if parts.borders is not None:
            read = built.pad(source, parts.borders)
        version = convolution.version
        if convolution.op == "DEPTHWISE_CONV_2D":
            version = max(version, _DILATED_DEPTHWISE)
        others = indices(model.subgraphs[0].operators[convolution.index].inputs)[1:]
        built.op(Op(convolution.op, version, parts.options), [read, *others])
        built.finish()


def _alone(model: schema.ModelT, operand: Operand) -> Node | None:
    """Find the op that writes a tensor, if nothing else reads that."""
    return producer_of(model, operand.index) if count_readers(model, operand.index) == 1 else None


def _is_plain(node: Node) -> bool:
    steps = ("strideH", "strideW", "dilationHFactor", "dilationWFactor")
    return int(node.option("padding")) == VALID and all(
        int(node.option(each, 1)) == 1 for each in steps
    )


def _parts(apart: Node, convolution: Node, together: Node) -> _Parts | None:
    """Put together what the convolution becomes; None where the moves are no dilation."""
    block, paddings = map(stored_values, apart.given()[1:3])
    block_after, crops = map(stored_values, together.given()[1:3])
    borders = (paddings - crops).reshape(-1, 2)
    if not np.array_equal(block, block_after) or len(block) != 2 or borders.min() < 0:
        return None
    options = copy.copy(convolution.options)
    options.dilationHFactor, options.dilationWFactor = (int(size) for size in block)
    source = apart.given()[0]
    dilated = Node(
        convolution.index, convolution.op, convolution.version, options, (), convolution.outputs
    )
    (top, bottom), (left, right) = ((int(first), int(last)) for first, last in borders)
    wanted = ((top, bottom), (left, right))
    if wanted == same_borders(dilated, source.shape[1:3], convolution.given()[1].shape[1:3]):
        options.padding = SAME
        return _Parts(convolution, options, source, None)
    return _Parts(convolution, options, source, wanted if borders.any() else None)
