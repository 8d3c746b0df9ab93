"""Nearest-neighbour upsampling: in Keras's ways of it no delegate takes it whole."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import keras

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.rearrange import (
    interleave,
    join,
    join_ops,
    stack_rows,
    stack_rows_ops,
)
from portrait_tflite.convert.rewrites.keras.site import Build, Form, Refusal, Site, Uses
from portrait_tflite.convert.rewrites.keras.upsampling import Resize, resize_of, resized
from portrait_tflite.vocabulary import Delegate

# A GPU has one op for it, and copies a tensor first that is concatenated with itself.
_CPU = Delegate.XNNPACK


class NearestUpsampling:
    """Repeats pixels by copying.

    Given:  x → UpSampling2D(f×g, nearest), or a nearest resize by whole factors → y
    Result: x → CONCATENATION(x, x, x, x) → DEPTH_TO_SPACE(2) → y                 form `copies`
            x → CONCATENATION(x, …) → CONCATENATION(rows, …) → RESHAPE → y        form `rows`
            x → RESIZE_NEAREST_NEIGHBOR → y                                       form `resize`

    Exact, the same bytes in int8. `copies` doubles: a factor of 4 or 8 is that two or three times.
    `rows` moves whole rows, the cheapest on a CPU, for any factors. XNNPACK has no nearest resize,
    the GPU delegate has; neither takes the RESHAPE and TILE of rank 5 that UpSampling2D becomes.
    """

    name = "nearest_upsampling"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        resize = resize_of(node)
        if resize is None or resize.interpolation != "nearest":
            return None
        factors = resize.factors
        if factors is None:
            return Refusal(
                node.name, f"{resize.source.shape[1:3]} to {resize.size}: no whole factors"
            )
        lowered = isinstance(node.op, keras.layers.UpSampling2D)
        forms = _copies_forms(node.name, resize.source, factors)
        forms += _rows_forms(node.name, resize.source, factors)
        forms += _resize_forms(node.name, resize, factors, lowered)
        return Site(
            layer=node.name,
            root=value,
            boundary=(resize.source,),
            forms=forms,
            reason=f"×{named(factors)}"
            + ("; Keras lowers it to RESHAPE and TILE of rank 5" if lowered else ""),
        )


def copy_ops(source: Value, factors: tuple[int, int]) -> tuple[CostedOp, ...]:
    """List what an upsampling that stays on its own becomes on a CPU."""
    height, width, depth = source.shape[1:]
    rows, columns = factors
    wide = join_ops(columns, height * width, depth)
    return (*wide, *stack_rows_ops((height, width), depth * columns, rows, 1, columns))


def resize_op(size: tuple[int, int], channels: int) -> CostedOp:
    """Return what a nearest resize to `size` is on a GPU."""
    return CostedOp("RESIZE_NEAREST_NEIGHBOR", *size, channels, channels)


def named(factors: tuple[int, int]) -> str:
    """Write factors for people: one where both are the same."""
    rows, columns = factors
    return str(rows) if rows == columns else f"{rows}×{columns}"


def _copies_forms(name: str, source: Value, factors: tuple[int, int]) -> tuple[Form, ...]:
    factor = factors[0]
    # DEPTH_TO_SPACE is square, and more than five inputs are too many for XNNPACK's CONCATENATION:
    # it doubles step by step.
    if factors[1] != factor or factor & (factor - 1):
        return ()
    ops = _copies_ops(source, factor)
    build: Build = partial(_copies, name, factor)
    return (Form("copies", build, ops=ops, only=_CPU),)


def _rows_forms(name: str, source: Value, factors: tuple[int, int]) -> tuple[Form, ...]:
    ops = copy_ops(source, factors)
    build: Build = partial(_rows, name, factors)
    return (Form("rows", build, ops=ops, only=_CPU),)


def _resize_forms(
    name: str, resize: Resize, factors: tuple[int, int], lowered: bool
) -> tuple[Form, ...]:
    ops = (resize_op(resize.size, resize.source.shape[3]),)
    if not lowered:
        return (Form("resize", ops=ops),)  # as it is
    return (
        Form("resize", lambda b: resized(name, b[0], "nearest", resize.size), ops=ops),
        Form("upsampling", ops=_lowered_ops(resize.source, factors)),
    )


def _rows(name: str, factors: tuple[int, int], boundary: Sequence[Value]) -> Value:
    wide = join(f"{name}_columns", [boundary[0]] * factors[1], 3)
    return stack_rows(name, [wide] * factors[0], factors[1])


def _copies(name: str, factor: int, boundary: Sequence[Value]) -> Value:
    value = boundary[0]
    step = 1
    while step < factor:
        step *= 2
        label = name if step == factor else f"{name}_{step}"
        value = interleave(label, join(f"{label}_copies", [value] * 4, 3), 2, 2)
    return value


def _copies_ops(source: Value, factor: int) -> tuple[CostedOp, ...]:
    height, width, depth = source.shape[1:]
    ops = []
    while factor > 1:
        ops += join_ops(4, height * width, depth)
        height, width, factor = 2 * height, 2 * width, factor // 2
        ops.append(CostedOp("DEPTH_TO_SPACE", height, width, 4 * depth, depth, stride=2))
    return tuple(ops)


def _lowered_ops(source: Value, factors: tuple[int, int]) -> tuple[CostedOp, ...]:
    """List what Keras makes of UpSampling2D: per axis RESHAPE and TILE of rank 5."""
    height, width, depth = source.shape[1:]
    rows, columns = factors
    sizes = ((height, width), (height * rows, width), (height * rows, width * columns))
    reshapes = tuple(CostedOp("RESHAPE", *size, depth, depth) for size in sizes)
    return reshapes + tuple(CostedOp("TILE", *size, depth, depth) for size in sizes[1:])
