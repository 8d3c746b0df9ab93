"""Clamps as requantizations: int8's own saturation cuts where a zero point puts its ends."""

from __future__ import annotations

from portrait_tflite.convert.files.flatbuffer_nodes import Operand
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}

QUANTIZE = Op("QUANTIZE", 2)  # version 2 is the first that takes int8; TensorFlow 1.15 runs it

# XNNPACK's own limits for an int8 QUANTIZE [V: xnnpack_delegate.cc, VisitUnaryNode].
QUANTIZE_RATIO = (2.0**-8, 2.0**7)


def clamping_zero_points(target: Operand, low: int, high: int) -> tuple[int, ...] | None:
    """Find zero points through which a value passes and comes out between `low` and `high`.

    All tensors on the way have the scale of `target`; the last one is `target`'s own. A zero point
    that is lower by `low - min` makes the smallest integer stand for `low`; one that is higher by
    `max - high` makes the largest stand for `high`.

    Args:
        low: Bound in the integers of `target`; the type's own or less where there is none.
        high: Likewise.

    Returns:
        The zero points, or None where one would not fit the type.
    """
    smallest, largest = LIMITS[target.dtype]
    if low > high:
        return None
    found: list[int] = []
    if low > smallest:
        found.append(target.zero_point - (low - smallest))
    if high < largest:
        found.append(target.zero_point + (largest - high))
    if not all(smallest <= point <= largest for point in found):
        return None
    if not found or found[-1] != target.zero_point:
        found.append(target.zero_point)
    return tuple(found)


def quantize_through(
    built: Replacement,
    source: int,
    target: Operand,
    zero_points: tuple[int, ...],
    output: int | None = None,
) -> None:
    """Add one QUANTIZE per zero point; the last writes `output`, by default the op's own."""
    for point in zero_points[:-1]:
        middle = built.tensor(target.shape, target, zero_point=point)
        built.op(QUANTIZE, [source], middle)
        source = middle
    built.op(QUANTIZE, [source], output)


def form_of(operand: Operand) -> tuple[float, int]:
    """Return what an operand's integers stand for: its scale and zero point."""
    return operand.scale, operand.zero_point


def quantize_refusal(source: Operand, target: Operand) -> str:
    """Say why XNNPACK would refuse a QUANTIZE, or ""."""
    if QUANTIZE_RATIO[0] <= source.scale / target.scale <= QUANTIZE_RATIO[1]:
        return ""
    return "XNNPACK takes no QUANTIZE of this scale ratio"
