"""A 1×1 depthwise convolution of few channels in a finished file, on several positions at once."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.costs.cost_table import TARGET, CostTable
from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.column_packs import TILE
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values
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

_MOST_CHANNELS = 16 * TILE  # of a pack; from there on nothing is gained


class PackedLine(FlatbufferRewrite):
    """Let a line per channel fill the kernels' tiles.

    Given:
        y = DEPTHWISE_CONV_2D(x, w, b)    # 1×1; x: [n, h, w, c], as many results as positions

    Result:
        y = RESHAPE(DEPTHWISE_CONV_2D(RESHAPE(x), w', b'))    # on [1, 1, n·h·w/p, p·c]

    w' and b' are w and b p times. It looks at no neighbour, so that any positions make a pack; the
    cost table says how many. Every number is computed as before, and XNNPACK gives the same bytes;
    the built-in int8 kernel rounds every eight channels and the rest of them in two ways, so that
    one at a tie may move by a step.
    """

    name = "packed_line"
    within_one_step = True
    helps_gpu = False  # whose kernels have other tiles

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a depthwise convolution that scales and shifts few channels."""
        if node.op != "DEPTHWISE_CONV_2D" or not _is_line(node):
            return None
        if refusal := repetition_refusal(model, node):
            return RefusedOp(node.tensor, refusal)
        source = node.given()[0]
        packs = _packs(_positions(node), source.shape[3])
        if not packs:
            return RefusedOp(node.tensor, f"{_positions(node)} positions make no whole packs")
        count = min(packs, key=lambda count: _cost(node, count))
        exact = source.dtype == "float32"
        return Match(f"{count} positions as channels", count, exact)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution between two reshapes."""
        count: int = match.details
        source, weights, *bias = node.given()
        kernel = held_values(model, weights)
        assert kernel is not None
        built = Replacement(model, node)
        shape = (1, 1, _positions(node) // count, count * source.shape[3])
        packed, results = built.tensor(shape, source), built.tensor(shape, node.outputs[0])
        built.reshape(source.index, shape, packed)
        scales = repeated_scales(model, weights, count)
        constants = [built.constant_like(np.tile(kernel, count), weights, scales, axis=3)]
        for one in bias:
            values, scales = repeated_bias(model, one, count)
            constants.append(built.constant_like(values, one, scales))
        built.op(Op(node.op, node.version, node.options), [packed, *constants], results)
        built.reshape(results, node.outputs[0].shape)
        built.finish()


def _is_line(node: Node) -> bool:
    """Whether channels of a known number are only scaled and shifted, and leave tiles idle."""
    source, weights = node.given()[:2]
    if not (source.sized and node.outputs[0].sized and weights.sized):
        return False
    channels = source.shape[3]
    few = channels % TILE != 0 and 2 * channels <= _MOST_CHANNELS
    alone = weights.shape == (1, 1, 1, channels)
    return few and alone and node.outputs[0].shape == source.shape


def _positions(node: Node) -> int:
    return int(np.prod(node.given()[0].shape[:3]))


def _packs(positions: int, channels: int) -> list[int]:
    """List how many positions may make a pack."""
    most = _MOST_CHANNELS // channels
    return [count for count in range(2, most + 1) if positions % count == 0]


def _cost(node: Node, count: int) -> float:
    """Return the cycles of the convolution on packs, and of both reshapes."""
    source = node.given()[0]
    packs, channels = _positions(node) // count, count * source.shape[3]
    kinds = ("RESHAPE", node.op, "RESHAPE")
    table = CostTable.load(TARGET)
    return sum(
        table.op_cost(CostedOp(kind, 1, packs, channels, channels), source.dtype) for kind in kinds
    )
