"""Ops that undo each other, or do nothing."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.place import is_output, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)

_RESHAPES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_RANK_MASKS = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")


class Cancel(FlatbufferRewrite):
    """Leave out what changes nothing.

    Given:
        y = QUANTIZE(x)                  # of x's scale and zero point
        y = QUANTIZE(DEQUANTIZE(x))      # likewise
        y = RESHAPE(x)                   # to x's own shape
        y = STRIDED_SLICE(x)             # all of it, or SLICE
        y = RESHAPE(RESHAPE(x))          # back to it
        y = TRANSPOSE(TRANSPOSE(x))      # likewise

    Result:
        y = x
    """

    name = "cancel"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an op, alone or with its producer, whose result is a tensor there is already."""
        target = node.outputs[0]
        # The output has to be written under its own name.
        if is_output(model, target.index) or not node.given():
            return None
        source = node.given()[0]
        producer = producer_of(model, source.index)
        before = None if producer is None or not producer.given() else producer.given()[0]
        same = None
        if _does_nothing(node) and _equal(source, target):
            same = source
        elif before is None or producer is None or not _equal(before, target):
            return None
        elif _undone(producer, node):
            same = before
        if same is None or same.constant:
            return None
        return Match("nothing changes", bypass=same.index, sources=(same.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Never called: there is always a tensor that passes."""
        raise AssertionError(node.tensor)


class MergePair(FlatbufferRewrite):
    """Do in one op what two do.

    Given:
        y = RESHAPE(RESHAPE(x))
        y = QUANTIZE(DEQUANTIZE(x))    # to another scale or zero point

    Result:
        y = RESHAPE(x)
        y = QUANTIZE(x)                # rounded by another kernel: by one step at most
    """

    name = "merge_pair"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match the second op of such a pair."""
        if node.op not in {"QUANTIZE", *_RESHAPES} or -1 in node.outputs[0].shape:
            return None
        first = producer_of(model, node.given()[0].index)
        if first is None or first.given()[0].constant:
            return None
        source = first.given()[0]
        if node.op in _RESHAPES and first.op in _RESHAPES:
            return Match("the same numbers in another shape", source, sources=(source.index,))
        pair = (first.op, node.op) == ("DEQUANTIZE", "QUANTIZE")
        if not pair or source.dtype != node.outputs[0].dtype:
            return None
        return Match("one requantization", source, exact=False, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the one op; the first of the two stays for those who read it."""
        source: Operand = match.details
        built = Replacement(model, node)
        if node.op in _RESHAPES:
            built.reshape(source.index, node.outputs[0].shape)
        else:
            built.op(QUANTIZE, [source.index])
        built.finish()


def _does_nothing(node: Node) -> bool:
    """Tell whether an op changes nothing where its output has the form of its input."""
    if node.op in {"QUANTIZE", *_RESHAPES}:
        return True
    # Of a size that is known at run time only, a part has the same form.
    if node.op not in {"SLICE", "STRIDED_SLICE"} or not node.given()[0].sized:
        return False
    if node.op == "SLICE":
        return True
    strides = node.given()[-1]
    if any(node.option(mask, 0) for mask in _RANK_MASKS) or strides.data is None:
        return False
    return bool(np.all(stored_values(strides) > 0))  # else it turns rows or columns about


def _equal(one: Operand, other: Operand) -> bool:
    return (one.shape, one.dtype, one.scale, one.zero_point) == (
        (other.shape, other.dtype, other.scale, other.zero_point)
    )


def _undone(first: Node, second: Node) -> bool:
    """Tell whether the second op takes back the first, their ends being of one form."""
    if (first.op, second.op) == ("DEQUANTIZE", "QUANTIZE"):
        return True
    if first.op in _RESHAPES and second.op in _RESHAPES:
        return True
    if (first.op, second.op) != ("TRANSPOSE", "TRANSPOSE"):
        return False
    orders = [node.given()[1] for node in (first, second)]
    if not all(order.constant for order in orders):
        return False
    one, other = (stored_values(order) for order in orders)
    return np.array_equal(one[other], np.arange(len(one)))
