"""SPLIT into uneven or many parts, UNPACK → a SLICE per part."""

from __future__ import annotations

from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.xnnpack_operands import MAX_SPLITS
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)

# Places of what is parted, and of the dimension, among the inputs.
_INPUTS = {"SPLIT": (1, 0), "SPLIT_V": (0, 2)}


@dataclass(frozen=True)
class _Parts:
    """What is parted, along which dimension, and how much of that each part gets."""

    source: Operand
    axis: int
    sizes: tuple[int, ...]


class SplitToSlices(FlatbufferRewrite):
    """Take every part by an op of its own: XNNPACK splits into two to four even ones.

    Given:
        a, b, … = SPLIT_V(x; sizes, axis)    # or SPLIT into more than four
        a, b, … = UNPACK(x; axis)

    Result:
        a = SLICE(x; begin, size), b = …     # of an UNPACK with a RESHAPE behind
    """

    name = "split_to_slices"
    helps_gpu = False  # which has all three

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an op of known sizes that hands on the numbers as they are."""
        if node.op not in {*_INPUTS, "UNPACK"}:
            return None
        if node.op == "SPLIT" and 2 <= len(node.outputs) <= MAX_SPLITS:
            return None
        parts = _parts(node)
        if parts is None:
            return RefusedOp(node.tensor, "a size or the dimension is known only at run time")
        tensors = (parts.source, *node.outputs)
        if len({(o.scale, o.zero_point) for o in tensors}) != 1:
            return RefusedOp(node.tensor, "its tensors have different scales")
        return Match("the same numbers, part by part", parts, sources=(parts.source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put a SLICE per part."""
        parts: _Parts = match.details
        built = Replacement(model, node)
        begin = [0] * len(parts.source.shape)
        for size, target in zip(parts.sizes, node.outputs, strict=True):
            extent = [*parts.source.shape]
            extent[parts.axis] = size
            _slice(built, parts.source, begin, extent, target)
            begin[parts.axis] += size
        built.finish()


def _slice(
    built: Replacement, source: Operand, begin: list[int], extent: list[int], target: Operand
) -> None:
    flat = tuple(extent) == target.shape
    part = built.cut(source.index, begin, extent, source, target.index if flat else None)
    if not flat:
        built.reshape(part, target.shape, target.index)


def _parts(node: Node) -> _Parts | None:
    """Read what an op parts; None where the file does not say all of it."""
    place, dimension = _INPUTS.get(node.op, (0, None))
    source = node.inputs[place]
    axis = None if dimension is None else node.inputs[dimension]
    if source is None or not source.sized or not all(o.sized for o in node.outputs):
        return None
    if dimension is None:
        return _Parts(source, node.option("axis", 0) % len(source.shape), (1,) * len(node.outputs))
    if axis is None or axis.data is None:
        return None
    number = int(stored_values(axis)[0]) % len(source.shape)
    return _Parts(source, number, tuple(o.shape[number] for o in node.outputs))
