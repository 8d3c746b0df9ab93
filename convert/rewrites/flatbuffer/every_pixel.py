"""A slice that steps over rows or columns → DEPTHWISE_CONV_2D of ones with strides."""

from __future__ import annotations

from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.depthwise_average import every_pixel
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)

_MASKS = ("ellipsisMask", "newAxisMask", "shrinkAxisMask", "offset")


@dataclass(frozen=True)
class _Steps:
    """Which numbers of each axis of `[n, h, w, c]` are kept."""

    kept: tuple[range, ...]
    sizes: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether steps from the first row and column on give these and no more."""
        pairs = zip(self.kept, self.sizes, strict=True)
        return all(r == range(0, size, r.step) for r, size in pairs)

    @property
    def begin(self) -> list[int]:
        """Where the part begins that holds all that is kept."""
        return [r.start for r in self.kept]

    @property
    def extent(self) -> list[int]:
        """How large that part is."""
        return [r[-1] + 1 - r.start for r in self.kept]

    @property
    def strides(self) -> tuple[int, int]:
        """Of rows and columns."""
        return self.kept[1].step, self.kept[2].step


class EveryPixel(FlatbufferRewrite):
    """Keep every n-th row and column by an op that XNNPACK has: it takes no slice that steps.

    Given:
        y = STRIDED_SLICE(x; begin, end, strides)    # constants; float, int8 or uint8

    Result:
        y = DEPTHWISE_CONV_2D(SLICE(x; begin, size); weights 1)    # 1×1, the same strides

    The SLICE only where rows or columns at the border are left out. So YOLOv5 (its "focus") and
    space-to-depth spelled out in slices begin.
    """

    name = "every_pixel"
    helps_gpu = False  # which takes any stride

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a slice of a picture that steps over rows or columns, and nothing else."""
        if node.op != "STRIDED_SLICE" or (steps := _steps(node)) is None:
            return None
        source, target = node.given()[0], node.outputs[0]
        batch, rows, columns, channels = steps.kept
        if rows.step == columns.step == batch.step == channels.step == 1:
            return None
        if batch.step != 1 or channels != range(source.shape[3]) or min(steps.strides) < 1:
            return RefusedOp(node.tensor, "it leaves channels or pictures out, or goes backwards")
        # Of other types there is no depthwise convolution with weights of the same type.
        if source.dtype != "float32" and (source.dtype not in LIMITS or not source.scale):
            return RefusedOp(node.tensor, f"its numbers are {source.dtype}")
        # The kernel of a slice does not look at the output's scale, that of a convolution does.
        if (source.scale, source.zero_point) != (target.scale, target.zero_point):
            return RefusedOp(node.tensor, "its output has another scale")
        return Match("every kept pixel times one", steps, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the slice, where one is needed, and the depthwise convolution."""
        steps: _Steps = match.details
        source = node.given()[0]
        built = Replacement(model, node)
        number = source.index
        if not steps.whole:
            number = built.cut(source.index, steps.begin, steps.extent, source)
        every_pixel(built, source, number, steps.strides)
        built.finish()


def _steps(node: Node) -> _Steps | None:
    """Read what a slice of a picture keeps; None where that is not known, or not of rank 4."""
    source, *numbers = node.given()
    if len(numbers) != 3 or any(operand.data is None for operand in numbers):
        return None
    if len(source.shape) != 4 or not source.sized or any(node.option(m, 0) for m in _MASKS):
        return None
    begins, ends = int(node.option("beginMask", 0)), int(node.option("endMask", 0))
    lists = zip(*(stored_values(operand).tolist() for operand in numbers), strict=True)
    kept = tuple(
        range(source.shape[axis])[
            slice(None if begins >> axis & 1 else b, None if ends >> axis & 1 else e, step)
        ]
        for axis, (b, e, step) in enumerate(lists)
    )
    # What the lists do not name is kept whole.
    kept += tuple(map(range, source.shape[len(kept) :]))
    return _Steps(kept, source.shape) if all(kept) else None
