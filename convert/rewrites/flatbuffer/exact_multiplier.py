"""Requantizations whose ratio XNNPACK rounds → one that its multiplier holds exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.xnnpack_ops import DATA_INPUTS
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.place import computed_inputs
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import (
    LIMITS,
    quantize_refusal,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.requantization import ANY_SCALE, ANY_SCALE_READERS
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.scale_group import (
    ScaleGroup,
    bias_of,
    scale_group,
)

# XNNPACK multiplies by round(256 · scale(x) / scale(y)) and shifts by 8 bits, as it has since these
# kernels came in 2022 [V: XNNPACK 75db3c0, src/microparams-init.c,
# xnn_init_qs8_cvt_scalar_params and xnn_init_qs8_lrelu_scalar_params; src/qs8-vcvt/scalar.c.in].
_PARTS = 256
_MULTIPLYING = frozenset({"LEAKY_RELU", "QUANTIZE"})
_SAME = 1e-6  # of a ratio: both scales are rounded to single precision


@dataclass(frozen=True)
class _Move:
    """A group of tensors and the scale that it gets.

    Attributes:
        behind: Whether it is what the requantization writes; else what it reads.
    """

    group: ScaleGroup
    scale: float
    behind: bool


class ExactMultiplier(FlatbufferRewrite):
    """Give a requantization a ratio of scales that XNNPACK's 8-bit multiplier holds.

    Given:
        y = QUANTIZE(x)    # or LEAKY_RELU; int8 or uint8; scale(x) / scale(y) is no k / 256

    Result:
        y = QUANTIZE(x)    # scale(y), or scale(x), moved until it is: the ratio by ≤ 1 / 512

    XNNPACK rounds the ratio to k / 256 anyway, so that it is off by up to half a step of y; the
    built-in kernels hold 31 bits of it. Moved is the scale of y where all that have that scale may
    take another one, else that of x; what was tied to it, and biases, move along. Of LEAKY_RELU's
    two multipliers only that of positive numbers is made exact.
    """

    name = "exact_multiplier"
    within_one_step = True
    helps_gpu = False
    aligns_kernels = True
    by_name = True  # the masks gain nothing, see docs/how-it-works.md

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a requantization of another ratio, of which one side may have another scale."""
        if not _multiplies(node):
            return None
        # It is not XNNPACK that runs it.
        if quantize_refusal(node.given()[0], node.outputs[0]):
            return None
        multiplier = max(1, round(_PARTS * _ratio(node)))
        move = _move(model, node, multiplier)
        if isinstance(move, RefusedOp):
            return None if _is_exact(node) else move
        moved = node.outputs[0] if move.behind else node.given()[0]
        if move.scale == moved.scale:
            return None
        reason = f"XNNPACK multiplies by {multiplier} / {_PARTS}, as its scales say now"
        computing = node if move.behind else move.group.writers[0]
        sources = tuple(dict.fromkeys(computed_inputs(model, computing)))
        return Match(reason, move, exact=False, sources=sources)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Move the scale of one side."""
        move: _Move = match.details
        move.group.rescale(model, Replacement(model, node), move.scale)


def _move(model: schema.ModelT, node: Node, multiplier: int) -> _Move | RefusedOp:
    source, target = node.given()[0], node.outputs[0]
    # Scales are of single precision, and the ratio is next to k / 256. A hair above it, what is
    # halfway and positive goes up, as in XNNPACK. Below one half the built-in kernels round twice,
    # up both times.
    above = 2 * multiplier >= _PARTS
    after = scale_group(model, target.index)
    hindrance = _hindrance(after, node)
    if not hindrance:
        scale = _single(source.scale * _PARTS / multiplier, up=not above)
        return _Move(after, scale, behind=True)
    before = scale_group(model, source.index)
    if other := _hindrance(before, None):
        reason = f"scale of its output: {hindrance}; of its input: {other}"
        return RefusedOp(node.tensor, reason)
    return _Move(before, _single(target.scale * multiplier / _PARTS, up=above), behind=False)


def _multiplies(node: Node) -> bool:
    if node.op not in _MULTIPLYING or len(node.given()) != 1:
        return False
    source, target = node.given()[0], node.outputs[0]
    return source.dtype == target.dtype in LIMITS and source.scale > 0 and target.scale > 0


def _ratio(node: Node) -> float:
    return node.given()[0].scale / node.outputs[0].scale


def _is_exact(node: Node) -> bool:
    multiplier = _PARTS * _ratio(node)
    return abs(multiplier - round(multiplier)) <= _SAME * multiplier


def _hindrance(group: ScaleGroup, node: Node | None) -> str:
    """Say what keeps a group from another scale, or "".

    Args:
        group: The tensors of one scale.
        node: The op that writes it; None for any one op that takes every scale.
    """
    if group.ends:
        return "an input or output of the file has it"
    writers = {writer.index for writer in group.writers}
    if node is None:
        free = len(writers) == 1 and group.writers[0].op in ANY_SCALE - _MULTIPLYING
    else:
        free = writers == {node.index}
    if not free:
        return "another op writes it"
    if not all(_takes_any(reader, group) for reader in group.readers):
        return "a reader wants this very one"
    if any(_multiplies(reader) and _is_exact(reader) for reader in group.readers):
        return "a requantization that is exact reads it"
    return ""


def _takes_any(reader: Node, group: ScaleGroup) -> bool:
    if reader.op not in ANY_SCALE_READERS:
        return False
    data = DATA_INPUTS.get(reader.op, (0,))
    others = [o for position, o in enumerate(reader.inputs) if o and position not in data]
    # A filter that is computed, or a bias that another op computes.
    if any(operand.index in group.tensors for operand in others):
        return False
    bias = bias_of(reader)
    return bias is None or (bias.constant and bias.scale > 0)


def _single(scale: float, *, up: bool) -> float:
    """Round to single precision, to one side."""
    nearest = np.float32(scale)
    on_side = float(nearest) >= scale if up else float(nearest) <= scale
    limit = np.float32(np.inf if up else 0)
    return float(nearest if on_side else np.nextafter(nearest, limit))
