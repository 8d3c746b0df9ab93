"""Which tensors share one scale, and which have theirs given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import inf, log

from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.quantize.int8.moves import MOVES
from portrait_tflite.quantize.int8.tensor_ranges import Range, activation_tensors, common
from portrait_tflite.quantize.int8.tied_scales import tied_tensors

# Their int8 kernels have the scale of the output in them.
_FIXED = frozenset({"LOGISTIC", "SOFTMAX", "LOG_SOFTMAX", "TANH", "L2_NORMALIZATION"})

_HALF_STEP = 1 / 512  # of a probability in int8
_SURE = log((1 - _HALF_STEP) / _HALF_STEP)
# What an op can tell apart: beyond, its int8 output is that of the end.
_TOLD_APART = {
    "HARD_SWISH": Range(-3.0, inf),
    "LOGISTIC": Range(-_SURE, _SURE),
    "TANH": Range(-_SURE / 2, _SURE / 2),
}
# Within these bounds what they give is what they are given.
_CLAMPS = {
    "RELU": Range(0.0, inf),
    "RELU6": Range(0.0, 6.0),
    "RELU_0_TO_1": Range(0.0, 1.0),
    "RELU_N1_TO_1": Range(-1.0, 1.0),
}


def scale_families(data: bytes) -> list[list[int]]:
    """Group the activation tensors of a float file that have one scale in int8.

    Left out are those with a scale that is given: inputs, what sigmoid and softmax give, and what
    only moves these.
    """
    model = read_model(data)
    given = {*indices(model.subgraphs[0].inputs)}
    given |= {o.index for node in list_nodes(model) if node.op in _FIXED for o in node.outputs}
    return [family for family in tied_tensors(model) if given.isdisjoint(family)]


def told_apart(data: bytes) -> dict[int, Range]:
    """Find the tensors of which the ops behind them need a part: a ReLU's input from 0 on.

    What lies beyond may be clipped: the outputs stay the same, those of sigmoid and tanh within
    half a step. Tensors that are outputs of the file are needed whole.
    """
    model = read_model(data)
    readers: dict[int, list[Node]] = {}
    for node in list_nodes(model):
        for operand in node.given():
            readers.setdefault(operand.index, []).append(node)
    outputs = set(indices(model.subgraphs[0].outputs))
    found: dict[int, Range] = {}
    # Backwards: what only moves a tensor needs what is needed behind it.
    for number in reversed(activation_tensors(model)):
        needs = [_needed(node, found) for node in readers.get(number, [])]
        known = [need for need in needs if need is not None]
        if known and len(known) == len(needs) and number not in outputs:
            found[number] = reduce(Range.joined, known)
    return found


def _needed(node: Node, behind: Mapping[int, Range]) -> Range | None:
    later = behind.get(node.outputs[0].index)
    if node.op in MOVES:
        return later
    clamp = _clamp(node)
    if clamp is None:
        return _TOLD_APART.get(node.op)
    return clamp if later is None else common(clamp, later)


def _clamp(node: Node) -> Range | None:
    """Return the bounds of an op that clamps, such as MINIMUM with a number."""
    if node.op not in {"MAXIMUM", "MINIMUM"}:
        return _CLAMPS.get(node.op)
    bounds = [operand for operand in node.given() if operand.constant]
    if not bounds:
        return None
    numbers = stored_values(bounds[0])
    if node.op == "MAXIMUM":
        return Range(float(numbers.min()), inf)
    return Range(-inf, float(numbers.max()))
