"""Changes of shape → RESHAPE; PACK, TILE → CONCATENATION: what every delegate has."""

from __future__ import annotations

import copy

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.copies import join
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_MOST_COPIES = 64  # a constant's broadcast is better done by the op that reads it


class AsReshape(FlatbufferRewrite):
    """Say a change of shape in the one way that all delegates know.

    Given:
        y = SQUEEZE(x)    # or EXPAND_DIMS

    Result:
        y = RESHAPE(x)
    """

    name = "as_reshape"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a change of shape whose result is known."""
        if node.op not in {"SQUEEZE", "EXPAND_DIMS"}:
            return None
        source = node.given()[0]
        if -1 in (*source.shape, *node.outputs[0].shape):
            return RefusedOp(node.tensor, "a size is known only at run time")
        return Match("the same numbers in another shape", sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the RESHAPE."""
        built = Replacement(model, node)
        built.reshape(node.given()[0].index, node.outputs[0].shape)
        built.finish()


class SliceThenReshape(FlatbufferRewrite):
    """Keep the dimension that a slice takes one index of, and drop it in an op of its own.

    Given:
        y = STRIDED_SLICE(x; begin, end, strides, shrink)    # constants; no other mask but these

    Result:
        y = RESHAPE(STRIDED_SLICE(x; begin, begin + 1, strides))
    """

    name = "slice_then_reshape"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a slice that drops a dimension."""
        if node.op != "STRIDED_SLICE" or not (shrunk := int(node.option("shrinkAxisMask", 0))):
            return None
        source, *numbers = node.given()
        if len(numbers) != 3 or any(operand.data is None for operand in numbers):
            return RefusedOp(node.tensor, "its borders are computed")
        if not source.sized or -1 in node.outputs[0].shape:
            return RefusedOp(node.tensor, "a size is known only at run time")
        if node.option("ellipsisMask", 0) or node.option("newAxisMask", 0):
            return RefusedOp(node.tensor, "it adds dimensions, too")
        begin, end, strides = (stored_values(operand).copy() for operand in numbers)
        for axis in range(len(begin)):
            if shrunk >> axis & 1:
                begin[axis] %= source.shape[axis]
                end[axis], strides[axis] = begin[axis] + 1, 1
        return Match("the same numbers", (begin, end, strides), sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the slice that keeps every dimension, and the RESHAPE."""
        source, target = node.given()[0], node.outputs[0]
        shrunk = int(node.option("shrinkAxisMask"))
        sizes = iter(target.shape)
        shape = [1 if shrunk >> axis & 1 else next(sizes) for axis in range(len(source.shape))]
        options = copy.copy(node.options)
        options.shrinkAxisMask = 0
        # A shrunk dimension has its begin and end whatever these say.
        options.beginMask, options.endMask = options.beginMask & ~shrunk, options.endMask & ~shrunk
        built = Replacement(model, node)
        constants = [built.constant(numbers) for numbers in match.details]
        kept = built.tensor(shape, source)
        built.op(Op(node.op, node.version, options), [source.index, *constants], kept)
        built.reshape(kept, target.shape)
        built.finish()


class PackToConcatenation(FlatbufferRewrite):
    """Stack by concatenating along a new dimension of size 1.

    Given:
        y = PACK(a, b, …; axis)

    Result:
        y = CONCATENATION(RESHAPE(a), RESHAPE(b), …; axis)
    """

    name = "pack_to_concatenation"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a PACK of computed tensors of known shape."""
        if node.op != "PACK" or any(operand.constant for operand in node.given()):
            return None
        parts, target = node.given(), node.outputs[0]
        if any(-1 in operand.shape for operand in (*parts, target)):
            return RefusedOp(node.tensor, "a size is known only at run time")
        # CONCATENATION would requantize what PACK only copies.
        if len({(o.scale, o.zero_point) for o in (*parts, target)}) != 1:
            return RefusedOp(node.tensor, "its tensors have different scales")
        return Match("the same numbers in the same order")

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put a RESHAPE per input and the CONCATENATION."""
        parts, target = node.given(), node.outputs[0]
        axis = int(node.option("axis", 0)) % len(target.shape)
        shape = list(target.shape)
        shape[axis] = 1
        built = Replacement(model, node)
        raised = [built.tensor(shape, part) for part in parts]
        for part, number in zip(parts, raised, strict=True):
            built.reshape(part.index, shape, number)
        if len(raised) == 1:
            built.reshape(parts[0].index, shape)
        else:
            join(built, [(number, shape) for number in raised], axis, parts[0])
        built.finish()


class TileToConcatenation(FlatbufferRewrite):
    """Repeat by concatenating.

    Given:
        y = TILE(x; multiples)    # constant

    Result:
        y = CONCATENATION(x, …, x)    # once per dimension that is repeated
    """

    name = "tile_to_concatenation"
    helps_gpu = False  # which has the TILE

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a TILE with constant multiples."""
        if node.op != "TILE":
            return None
        source, multiples = node.given()
        if multiples.data is None or -1 in source.shape:
            return RefusedOp(node.tensor, "its multiples or sizes are known only at run time")
        counts = [int(count) for count in stored_values(multiples)]
        if max(counts) > _MOST_COPIES:
            return RefusedOp(node.tensor, f"{max(counts)} copies are too many to concatenate")
        if max(counts) < 2:
            return Match("nothing is repeated", bypass=source.index, sources=(source.index,))
        return Match("the same numbers repeated", counts, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put one CONCATENATION per repeated dimension, the last one first: it moves least."""
        counts: list[int] = match.details
        source = node.given()[0]
        built = Replacement(model, node)
        number, shape = source.index, list(source.shape)
        pending = [axis for axis, count in enumerate(counts) if count > 1]
        while pending:
            axis = pending.pop()
            larger = list(shape)
            larger[axis] *= counts[axis]
            output = built.tensor(larger, source) if pending else None
            join(built, [(number, shape)] * counts[axis], axis, source, output)
            number, shape = output or -1, larger
        built.finish()
