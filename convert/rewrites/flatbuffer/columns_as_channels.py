"""A convolution of few channels in a finished file, computed on several columns at once."""

from __future__ import annotations

import copy

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.costs.cost_table import TARGET, CostTable
from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.column_packs import (
    FEWEST_POSITIONS,
    TILE,
    pack_sizes,
    packed_kernel,
    packed_width,
)
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values
from portrait_tflite.convert.rewrites.flatbuffer.paddings import SAME
from portrait_tflite.convert.rewrites.flatbuffer.repeated import (
    repeated_bias,
    repeated_scales,
    repetition_refusal,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op


class ColumnsAsChannels(FlatbufferRewrite):
    """Let a convolution of few channels fill the kernels' tiles.

    Given:
        y = CONV_2D(x, w, b)    # x: [n, h, w, c], stride 1, SAME or 1×1; under 16 filters

    Result:
        y = RESHAPE(CONV_2D(RESHAPE(x), w', b p times))    # on [n, h, w/p, p·c]

    The weights are the same ones, with the same scale per channel, and zeros: in int8 not a byte
    changes. The cost table says how many columns make a pack.
    """

    name = "columns_as_channels"
    reorders_sums = True
    helps_gpu = False  # whose kernels have other tiles
    keras_name = "packed_columns"

    def __init__(self, fewest: int = FEWEST_POSITIONS) -> None:
        """Leave pictures of fewer positions than `fewest`."""
        self._fewest = fewest

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a convolution of few channels at many positions."""
        if node.op != "CONV_2D" or not self._leaves_tiles_idle(node):
            return None
        if refusal := repetition_refusal(model, node):
            return RefusedOp(node.tensor, refusal)
        source = node.given()[0]
        if not _looks_around_every_position(node):
            return RefusedOp(node.tensor, "it drops positions, or its kernel has holes")
        packs = pack_sizes(source.shape[2], max(source.shape[3], node.outputs[0].shape[3]))
        if not packs:
            return RefusedOp(node.tensor, f"{source.shape[2]} columns make no whole packs")
        count = min(packs, key=lambda count: _cost(node, count))
        return Match(f"{count} columns as channels", count, exact=source.dtype == "int8")

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution between two reshapes."""
        count: int = match.details
        source, weights, *bias = node.given()
        kernel = held_values(model, weights)
        assert kernel is not None
        target = node.outputs[0]
        images, height, width, channels = source.shape
        built = Replacement(model, node)
        packs = (images, height, width // count, count * channels)
        packed = built.tensor(packs, source)
        built.reshape(source.index, packs, packed)
        wide = packed_kernel(kernel.transpose(1, 2, 3, 0), count).transpose(3, 0, 1, 2)
        constants = [built.constant_like(wide, weights, repeated_scales(model, weights, count))]
        for one in bias:
            values, scales = repeated_bias(model, one, count)
            constants.append(built.constant_like(values, one, scales))
        options = copy.copy(node.options)
        options.padding = SAME
        results = built.tensor((*packs[:3], count * target.shape[3]), target)
        built.op(Op(node.op, node.version, options), [packed, *constants], results)
        built.reshape(results, target.shape)
        built.finish()

    def _leaves_tiles_idle(self, node: Node) -> bool:
        source, weights = node.given()[:2]
        if not (source.sized and node.outputs[0].sized):
            return False
        _, height, width, filters = node.outputs[0].shape
        channels = source.shape[3]
        alone = weights.shape[3] == channels  # no groups
        few = filters < TILE and channels <= TILE
        return alone and few and height * width >= self._fewest and -1 not in source.shape


def _looks_around_every_position(node: Node) -> bool:
    """Whether it has a result for every position, of those next to it."""
    steps = ("strideH", "strideW", "dilationHFactor", "dilationWFactor")
    if any(int(node.option(step, 1)) != 1 for step in steps):
        return False
    return node.given()[0].shape[1:3] == node.outputs[0].shape[1:3]


def _cost(node: Node, count: int) -> float:
    """Return the cycles of the convolution on packs, and of both reshapes."""
    source, weights = node.given()[:2]
    rows, columns = weights.shape[1:3]
    size = (source.shape[1], source.shape[2] // count)
    deep, wide = (count * operand.shape[3] for operand in (source, node.outputs[0]))
    kernel = (rows, packed_width(columns, count))
    ops = (
        CostedOp("RESHAPE", *size, deep, deep),
        CostedOp(node.op, *size, deep, wide, kernel),
        CostedOp("RESHAPE", *size, wide, wide),
    )
    table = CostTable.load(TARGET)
    return sum(table.op_cost(op, source.dtype) for op in ops)
