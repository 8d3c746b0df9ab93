"""Which kind and size an op of a file is for its cost, and in which precision."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from portrait_tflite.convert.costs.costed_nodes import costed_ops, precision_of_node
from portrait_tflite.convert.costs.costed_op import FLOAT32, INT8, CostedOp
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand

Shape = tuple[int, ...]
WHOLE: Shape = (1, 4, 6, 8)


def _operand(index: int, shape: Shape, dtype: str = "int8", values: Any = None) -> Operand:
    data = None if values is None else np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)
    return Operand(index, "", shape, dtype, 0.1, 0, 1, data)


def _node(op: str, inputs: list[Operand], outputs: list[Operand], **options: Any) -> Node:
    return Node(0, op, 1, SimpleNamespace(**options), tuple(inputs), tuple(outputs))


def _of(op: str, source: Shape, target: Shape, *types: str) -> Node:
    source_type, target_type = types
    return _node(op, [_operand(0, source, source_type)], [_operand(1, target, target_type)])


@pytest.mark.parametrize(("dtype", "precision"), [("int8", INT8), ("float32", FLOAT32)])
def test_a_choice_is_in_the_precision_of_its_numbers(dtype: str, precision: str) -> None:
    condition, target = _operand(0, WHOLE, "bool"), _operand(3, WHOLE, dtype)
    numbers = [_operand(i, WHOLE, dtype) for i in (1, 2)]
    assert precision_of_node(_node("SELECT_V2", [condition, *numbers], [target])) == precision
    constants = [_operand(i, (), dtype, 0) for i in (1, 2)]
    assert precision_of_node(_node("SELECT_V2", [condition, *constants], [target])) == precision
    compared = _node("LESS", numbers, [_operand(3, WHOLE, "bool")])
    assert precision_of_node(compared) == precision
    assert precision_of_node(_of("CAST", WHOLE, WHOLE, "bool", dtype)) == precision
    assert precision_of_node(_of("CAST", WHOLE, WHOLE, dtype, "bool")) == precision


def test_truth_values_alone_are_those_of_a_float_network() -> None:
    assert precision_of_node(_of("LOGICAL_NOT", WHOLE, WHOLE, "bool", "bool")) == FLOAT32


@pytest.mark.parametrize(
    ("op", "shapes", "kind"),
    [
        ("NOT_EQUAL", (WHOLE, WHOLE), "GREATER"),
        ("LESS_EQUAL", (WHOLE, ()), "GREATER_SCALAR"),
        ("EQUAL", ((1, 1, 1, 1), WHOLE), "GREATER_SCALAR"),
        ("GREATER", (WHOLE, (8,)), "GREATER_CHANNELS"),
        ("LESS", (WHOLE, (1, 4, 6, 1)), "GREATER_POSITIONS"),
        ("GREATER_EQUAL", ((1, 4, 6, 1), ()), "GREATER_SCALAR"),
        ("SELECT", (WHOLE, WHOLE, WHOLE), "SELECT"),
        ("SELECT_V2", (WHOLE, (), WHOLE), "SELECT_SCALAR"),
        ("SELECT_V2", (WHOLE, WHOLE, (1, 1, 1, 8)), "SELECT_CHANNELS"),
        ("SELECT_V2", (WHOLE, (1, 4, 6, 1), ()), "SELECT_CHANNELS"),
        ("SELECT_V2", ((1, 4, 6, 1), WHOLE, ()), "SELECT_POSITIONS"),
        ("SUB", (WHOLE, WHOLE), "SUB"),
        ("SUB", ((), WHOLE), "ADD_SCALAR"),
        ("SUB", (WHOLE, (8,)), "ADD_CHANNELS"),
        ("ADD", (WHOLE, (1, 4, 6, 1)), "ADD_POSITIONS"),
        ("MUL", (WHOLE, (1, 1, 1, 8)), "MUL_CHANNELS"),
        ("MINIMUM", (WHOLE, WHOLE), "MINIMUM"),
        ("MINIMUM", (WHOLE, ()), "MAXIMUM_SCALAR"),
    ],
)
def test_what_is_read_again_is_in_the_kind(op: str, shapes: tuple[Shape, ...], kind: str) -> None:
    target = max(shapes, key=lambda shape: np.prod(shape))
    inputs = [_operand(i, shape) for i, shape in enumerate(shapes)]
    (found,) = costed_ops(_node(op, inputs, [_operand(9, target)]))
    depth = target[-1]
    assert (found.kind, found.positions, found.channels_out) == (kind, 24, depth)


def test_a_magnitude_on_another_scale_is_another_op() -> None:
    source, same = _operand(0, WHOLE), _operand(1, WHOLE)
    (kept,) = costed_ops(_node("ABS", [source], [same]))
    (rescaled,) = costed_ops(_node("ABS", [source], [replace(same, scale=0.05)]))
    (moved,) = costed_ops(_node("ABS", [source], [replace(same, zero_point=-128)]))
    assert (kept.kind, rescaled.kind, moved.kind) == ("ABS", "ABS_RESCALED", "ABS")


def test_a_product_with_itself_is_a_square() -> None:
    inputs = [_operand(0, WHOLE)] * 2
    (found,) = costed_ops(_node("MUL", inputs, [_operand(1, WHOLE)]))
    assert found.kind == "SQUARE"


@pytest.mark.parametrize(
    ("op", "axes", "expected"),
    [
        ("SUM", [3], [CostedOp("MEAN_CHANNELS", 24, 1, 8, 8)]),
        ("REDUCE_MIN", [-1], [CostedOp("REDUCE_MAX_CHANNELS", 24, 1, 8, 8)]),
        ("ARG_MAX", 3, [CostedOp("ARG_MAX_CHANNELS", 24, 1, 8, 8)]),
        ("MEAN", [1, 2, 3], [CostedOp("MEAN_CHANNELS", 1, 1, 192, 192)]),
        ("MEAN", [2, 1], [CostedOp("MEAN", 24, 1, 8, 8)]),
        ("REDUCE_MAX", [1], [CostedOp("REDUCE_MAX", 4, 1, 48, 48)]),
        ("MEAN", [2], [CostedOp("MEAN", 6, 1, 8, 8)] * 4),
        ("MEAN", [1, 3], [CostedOp("MEAN", 24, 1, 8, 8)]),  # no neighbours
        ("MEAN", None, [CostedOp("MEAN", 24, 1, 8, 8)]),  # not known before it runs
    ],
)
def test_a_reduction_goes_along_its_axes(op: str, axes: Any, expected: list[CostedOp]) -> None:
    inputs = [_operand(0, WHOLE), _operand(1, np.shape(axes or 0), "int32", axes)]
    target = _operand(2, (1, 1, 1, 8))
    assert list(costed_ops(_node(op, inputs, [target]))) == expected


def _copy(kind: str, runs: int, length: int) -> CostedOp:
    return CostedOp(kind, runs, 1, length, length)


def test_ops_that_copy_take_the_runs_that_stay_together() -> None:
    whole, half = _operand(0, WHOLE), _operand(1, (1, 4, 6, 4))
    axis = _operand(2, (), "int32", 3)
    parts = [_copy("CONCATENATION", 24, 4)] * 2
    assert list(costed_ops(_node("SPLIT", [axis, whole], [half, half]))) == parts

    stacked = _operand(3, (1, 4, 6, 2, 8))
    parts = [_copy("PACK", 24, 8)] * 2
    assert list(costed_ops(_node("PACK", [whole, whole], [stacked], axis=3))) == parts
    assert list(costed_ops(_node("UNPACK", [stacked], [whole, whole], axis=-2))) == parts
    last = _operand(4, (1, 4, 6, 8, 2))
    numbers = [_copy("PACK", 192, 1)] * 2
    assert list(costed_ops(_node("PACK", [whole, whole], [last], axis=-1))) == numbers

    indices = _operand(5, (3,), "int32", [2, 0, 1])
    columns = _operand(6, (1, 4, 3, 8))
    found = costed_ops(_node("GATHER", [whole, indices], [columns], axis=2))
    assert list(found) == [_copy("GATHER", 12, 8)]


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (("bool", "float32"), "CAST_BOOL"),
        (("int32", "float32"), "CAST_INT32"),
        (("float32", "int32"), "CAST_TO_INT32"),
        (("bool", "int8"), "CAST_TO_INT8"),
    ],
)
def test_a_cast_is_named_by_the_type_that_is_no_float(types: tuple[str, str], kind: str) -> None:
    (found,) = costed_ops(_of("CAST", WHOLE, WHOLE, *types))
    assert (found.kind, found.elements) == (kind, 192)
