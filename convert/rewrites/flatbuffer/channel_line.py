"""MUL and ADD with numbers per channel in int8 → one 1×1 DEPTHWISE_CONV_2D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import per_channel
from portrait_tflite.convert.rewrites.flatbuffer.depthwise_line import draw_lines, offsets_fit
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)

_FACTORS = {"MUL": 1.0, "DIV": -1.0}  # the power that a constant is taken to
_OFFSETS = {"ADD": 1.0, "SUB": -1.0}  # the sign that it gets


@dataclass(frozen=True)
class Line:
    """`factors · source + offsets`, both `[c]`."""

    source: Operand
    factors: NDArray[np.float64]
    offsets: NDArray[np.float64]


class MergeChannelLine(FlatbufferRewrite):
    """Scale and shift every channel in one op: what is left of a batch normalization.

    Given:
        y = ADD(MUL(x, m), t)    # int8; m, t: constants [c]; nobody else reads the product

    Result:
        y = DEPTHWISE_CONV_2D(x; weights m, bias t)    # 1×1

    One rounding less, so that y moves by one step at most, wherever the product stays within its
    int8. Beyond it the file cuts the product off, and the result does not: judged on the values
    that the check inputs bring about.
    """

    name = "merge_channel_line"
    within_one_step = True
    observes = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an addition per channel behind a multiplication per channel."""
        second = read_line(node)
        if second is None or node.op not in _OFFSETS:
            return None
        producer = producer_of(model, second.source.index)
        first = None if producer is None or producer.op not in _FACTORS else read_line(producer)
        # The product with an activation is no line.
        if producer is None or first is None or producer.option("fusedActivationFunction", 0):
            return None
        if count_readers(model, second.source.index) != 1:
            return RefusedOp(node.tensor, "another op reads the product too")
        line = Line(first.source, first.factors, second.offsets)
        if not offsets_fit(line.source, line.factors, line.offsets):
            return RefusedOp(node.tensor, "its offsets are too large for a bias")
        reason = "one rounding less; on the check inputs the product is nowhere cut off"
        return Match(reason, line, exact=False, sources=(line.source.index,), observed=True)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the depthwise convolution."""
        _draw(model, node, match.details)


class ChannelLine(FlatbufferRewrite):
    """Scale or shift every channel by the op that does so fastest, or at all.

    Given:
        y = MUL(x, m)    # or ADD, SUB, DIV; int8; m: constant [c]

    Result:
        y = DEPTHWISE_CONV_2D(x; weights m)    # 1×1

    XNNPACK reads a number per channel anew at every position, which costs most where channels are
    few; DIV it has not.
    """

    name = "channel_line"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an op of a picture with one constant number per channel."""
        line = read_line(node)
        if line is None:
            return None
        if not offsets_fit(line.source, line.factors, line.offsets):
            return RefusedOp(node.tensor, "its offsets are too large for a bias")
        return Match("the same line per channel, rounded once", line, exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the depthwise convolution."""
        _draw(model, node, match.details)


def read_line(node: Node, dtype: str = "int8") -> Line | None:
    """Read an op of a picture with a constant, both of `dtype`, as lines; or None."""
    if node.op not in {*_FACTORS, *_OFFSETS} or len(node.given()) != 2:
        return None
    source, constant = node.given()
    if source.constant and node.op in {"ADD", "MUL"}:
        source, constant = constant, source
    target = node.outputs[0]
    scaled = dtype != "float32"
    if any(o.dtype != dtype or bool(o.scale) != scaled for o in (source, constant, target)):
        return None
    if source.constant or len(source.shape) != 4 or source.shape != target.shape:
        return None
    values = per_channel(constant, source.shape[-1])
    if values is None or (node.op == "DIV" and not values.all()):
        return None
    channels = len(values)
    if node.op in _FACTORS:
        return Line(source, values ** _FACTORS[node.op], np.zeros(channels))
    return Line(source, np.ones(channels), values * _OFFSETS[node.op])


def _draw(model: schema.ModelT, node: Node, line: Line) -> None:
    built = Replacement(model, node)
    activation = int(node.option("fusedActivationFunction", 0))
    draw_lines(built, line.source, line.factors, line.offsets, activation)
    built.finish()
