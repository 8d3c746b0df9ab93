"""Places that compute each number from a single one: all of their cases can be tried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.delegates.xnnpack_ops import BINARY, UNARY
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand

_BYTES = frozenset({"int8", "uint8"})
_CASES = 256
_MOVES = frozenset(
    {"CONCATENATION", "DEPTH_TO_SPACE", "EXPAND_DIMS", "MIRROR_PAD", "PACK", "PAD", "PADV2"}
    | {"RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SPACE_TO_DEPTH", "SQUEEZE"}
    | {"STRIDED_SLICE", "TILE", "TRANSPOSE"}
)
_CLAMPED = frozenset({"QUANTIZE", "RELU_0_TO_1"})


def all_cases_tried(
    nodes: Sequence[Node], tried: Sequence[tuple[NDArray[np.generic], ...]]
) -> bool:
    """Tell whether what was tried leaves no case out.

    Args:
        nodes: The ops of both forms of a place.
        tried: What it was run on, one array `[..., channels]` per input each time.

    Returns:
        Whether every op computes each of its numbers from one number, a byte, and each of the 256
        was tried: in every channel where channels differ.
    """
    inputs = [np.stack(arrays) for arrays in zip(*tried, strict=True)]
    if not inputs or any(array.dtype.name not in _BYTES for array in inputs):
        return False
    kinds = {_kind(node) for node in nodes}
    if "" in kinds or {"channel", "move"} <= kinds:
        return False
    apart = "channel" in kinds
    return all(_holds_every_byte(array, apart=apart) for array in inputs)


def _holds_every_byte(array: NDArray[np.generic], *, apart: bool) -> bool:
    channels = array.reshape(-1, array.shape[-1]).T if apart else array.reshape(1, -1)
    return all(np.unique(channel).size == _CASES for channel in channels)


def _kind(node: Node) -> str:
    """Tell what an op computes a number from.

    Returns:
        `number`: another one; `channel`: that and the channel; `move`: another one elsewhere;
        "": several.
    """
    if node.op in UNARY | _CLAMPED:
        return "number"
    if node.op in _MOVES:
        return "move"
    if node.op == "DEPTHWISE_CONV_2D":
        return "channel" if _is_pointwise(node) else ""
    return _kind_of_two(node) if node.op in BINARY else ""


def _is_pointwise(node: Node) -> bool:
    strides = node.option("strideH", 1), node.option("strideW", 1)
    weights = node.given()[1]
    return strides == (1, 1) and weights.constant and weights.shape[1:3] == (1, 1)


def _kind_of_two(node: Node) -> str:
    computed = {operand.index for operand in node.given() if not operand.constant}
    constants = [operand for operand in node.given() if operand.constant]
    if len(computed) > 1:
        return ""
    if all(operand.size == 1 for operand in constants):
        return "number"
    return "channel" if all(_is_per_channel(o, node.outputs[0]) for o in constants) else ""


def _is_per_channel(constant: Operand, target: Operand) -> bool:
    return constant.size == constant.shape[-1] == target.shape[-1]
