"""Changes of shape, copies, and ops that undo each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.as_reshape import (
    AsReshape,
    PackToConcatenation,
    SliceThenReshape,
    TileToConcatenation,
)
from portrait_tflite.convert.rewrites.flatbuffer.cancel import Cancel, MergePair
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model

from .drawing import many

Build = Callable[..., Any]
FORMS = {"int8": (0.05, 3), "float32": (None, 0)}
dtypes = st.sampled_from(["int8", "float32"])
shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@many
@given(shape=shapes, dtype=dtypes, data=st.data(), squeeze=st.booleans())
def test_every_squeeze_is_a_reshape(
    one_op: Build, mend_with: Build, shape: list[int], dtype: str, data: Any, squeeze: bool
) -> None:
    axis = data.draw(st.integers(0, len(shape)))
    raised = (*shape[:axis], 1, *shape[axis:])
    form = FORMS[dtype]
    if squeeze:
        options = schema.SqueezeOptionsT(squeezeDims=np.array([axis], np.int32))
        built = one_op(
            "SQUEEZE", (raised, dtype, *form), (shape, dtype, *form), version=1, options=options
        )
    else:
        constant = ((1,), "int32", None, 0, [axis])
        options = schema.ExpandDimsOptionsT()
        built = one_op(
            "EXPAND_DIMS", (shape, dtype, *form), (raised, dtype, *form), constant,
            version=1, options=options,
        )  # fmt: skip
    result = mend_with(built, AsReshape(), accept)
    assert (result.ops, result.steps) == (["RESHAPE"], 0)


def test_a_squeeze_of_unknown_size_stays(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4, 1), "int8", 0.05)
    y = graph.tensor("net/y/op", (1, 4), "int8", 0.05)
    graph.graph.tensors[y].shapeSignature = np.array([-1, 4], np.int32)
    graph.op("SQUEEZE", [x], y, 1, schema.SqueezeOptionsT())
    applied = AsReshape().apply(read_model(graph.build([x], [y])))
    assert [op.reason for op in applied.refused] == ["a size is known only at run time"]


@many
@given(shape=shapes, dtype=dtypes, count=st.integers(1, 13), data=st.data())
def test_every_pack_is_a_concatenation(
    tiny_graph: Build, mend_with: Build, shape: list[int], dtype: str, count: int, data: Any
) -> None:
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    place = axis % (len(shape) + 1)
    graph = tiny_graph()
    parts = [graph.tensor(f"x{n}", shape, dtype, *FORMS[dtype]) for n in range(count)]
    raised = (*shape[:place], count, *shape[place:])
    y = graph.tensor("net/pack/op", raised, dtype, *FORMS[dtype])
    graph.op("PACK", parts, y, 2, schema.PackOptionsT(valuesCount=count, axis=axis))
    result = mend_with(graph.build(parts, [y]), PackToConcatenation(), accept)
    assert result.steps == 0
    assert set(result.ops) <= {"RESHAPE", "CONCATENATION"}


def test_a_pack_of_two_scales_stays(tiny_graph: Build) -> None:
    graph = tiny_graph()
    parts = [graph.tensor(f"x{n}", (4,), "int8", 0.05 + n) for n in (0, 1)]
    y = graph.tensor("y", (2, 4), "int8", 0.05)
    graph.op("PACK", parts, y, 2, schema.PackOptionsT(valuesCount=2, axis=0))
    applied = PackToConcatenation().apply(read_model(graph.build(parts, [y])))
    assert [op.reason for op in applied.refused] == ["its tensors have different scales"]


@many
@given(shape=shapes, dtype=dtypes, data=st.data())
def test_every_tile_is_concatenations(
    one_op: Build, mend_with: Build, shape: list[int], dtype: str, data: Any
) -> None:
    counts = data.draw(st.lists(st.integers(1, 7), min_size=len(shape), max_size=len(shape)))
    if max(counts) == 1:
        counts[0] = 2
    target = tuple(size * count for size, count in zip(shape, counts, strict=True))
    constant = ((len(counts),), "int32", None, 0, counts)
    built = one_op(
        "TILE", (shape, dtype, *FORMS[dtype]), (target, dtype, *FORMS[dtype]), constant, version=3
    )
    result = mend_with(built, TileToConcatenation(), accept)
    assert (set(result.ops), result.steps) == ({"CONCATENATION"}, 0)


def test_hundreds_of_copies_stay(one_op: Build, mend_with: Build) -> None:
    form = ("float32", None, 0)
    constant = ((2,), "int32", None, 0, [1, 100])
    data = one_op("TILE", ((1, 2), *form), ((1, 200), *form), constant, version=1)
    assert "too many" in mend_with(data, TileToConcatenation()).refusals[0]


@many
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    dtype=dtypes,
    shrunk=st.integers(1, 7),
    masks=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    data=st.data(),
)
def test_every_dropped_dimension_is_a_reshape(
    one_op: Build, mend_with: Build, shape: list[int], dtype: str, shrunk: int, masks: Any,
    data: Any,
) -> None:  # fmt: skip
    shrunk &= 2 ** len(shape) - 2 or 1  # the pictures' dimension stays, that something does
    shrunk = shrunk or 2
    begin = [data.draw(st.integers(-size, size - 1)) for size in shape]
    begin = [n if shrunk >> axis & 1 else n % shape[axis] for axis, n in enumerate(begin)]
    end = [n + 1 if shrunk >> axis & 1 else shape[axis] for axis, n in enumerate(begin)]
    starts = [0 if masks[0] >> axis & 1 else n for axis, n in enumerate(begin)]
    kept = [n - starts[axis] for axis, n in enumerate(shape) if not shrunk >> axis & 1]
    lists = [((len(shape),), "int32", None, 0, n) for n in (begin, end, [1] * len(shape))]
    options = schema.StridedSliceOptionsT(
        shrinkAxisMask=shrunk, beginMask=masks[0] & ~shrunk, endMask=masks[1] & ~shrunk
    )
    form = FORMS[dtype]
    built = one_op(
        "STRIDED_SLICE", (shape, dtype, *form), (kept, dtype, *form), *lists, options=options
    )
    result = mend_with(built, SliceThenReshape(), accept)
    assert (result.ops, result.steps) == (["STRIDED_SLICE", "RESHAPE"], 0)


def test_a_channel_that_is_taken_out_comes_inside(one_op: Build) -> None:
    lists = [((4,), "int32", None, 0, n) for n in ([0, 0, 0, 1], [1, 8, 8, 2], [1] * 4)]
    options = schema.StridedSliceOptionsT(shrinkAxisMask=8)
    tensors = ((1, 8, 8, 2), "int8", 0.05, 3), ((1, 8, 8), "int8", 0.05, 3)
    data = one_op("STRIDED_SLICE", *tensors, *lists, options=options)
    assert [node.op for node in open_model(data).outside] == ["STRIDED_SLICE"]
    assert open_model(mend_model(data).data).outside == ()


# ops that undo each other


def _two(
    graph: Any, ops: list[tuple[str, Any, Any]], end: bool = False, form: Any = (0.05, 3)
) -> bytes:
    """Chain ops `(name, tensor, constant or options)`, and a TANH that reads the last."""
    first = value = graph.tensor("x", (1, 4, 6, 2), "int8", *form)
    for number, (op, tensor, extra) in enumerate(ops):
        target = graph.tensor(f"net/op_{number}/y", *tensor)
        inputs = [value]
        if extra is not None:
            inputs.append(graph.tensor(f"c{number}", (len(extra),), "int32", data=extra))
        graph.op(op, inputs, target, {"QUANTIZE": 2, "TRANSPOSE": 2, "DEQUANTIZE": 2}.get(op, 1))
        value = target
    if end:
        return bytes(graph.build([first], [value]))
    last = graph.tensor("net/end/y", ops[-1][1][0], "int8", 1 / 128, 0)
    graph.op("TANH", [value], last, 2)
    return bytes(graph.build([first], [last]))


HOME = ((1, 4, 6, 2), "int8", 0.05, 3)
CANCELLING = [
    [("QUANTIZE", HOME, None)],
    [("DEQUANTIZE", ((1, 4, 6, 2), "float32"), None), ("QUANTIZE", HOME, None)],
    [("RESHAPE", HOME, [1, 4, 6, 2])],
    [("RESHAPE", ((1, 24, 2), "int8", 0.05, 3), [1, 24, 2]), ("RESHAPE", HOME, [1, 4, 6, 2])],
    [
        ("TRANSPOSE", ((1, 6, 2, 4), "int8", 0.05, 3), [0, 2, 3, 1]),
        ("TRANSPOSE", HOME, [0, 3, 1, 2]),
    ],
]


@pytest.mark.parametrize("ops", CANCELLING)
def test_ops_that_cancel_are_left_out(tiny_graph: Build, mend_with: Build, ops: Any) -> None:
    result = mend_with(_two(tiny_graph(), ops), Cancel())
    assert (result.ops, result.steps) == (["TANH"], 0)


@pytest.mark.parametrize("ops", CANCELLING)
def test_an_output_keeps_its_last_op(tiny_graph: Build, mend_with: Build, ops: Any) -> None:
    assert not mend_with(_two(tiny_graph(), ops, end=True), Cancel()).done


@many
@given(
    kind=st.sampled_from(["QUANTIZE", "DEQUANTIZE", "RESHAPE", "RESHAPE RESHAPE"]),
    form=st.tuples(st.floats(0.01, 0.2), st.integers(-128, 126)),
    middle=st.sampled_from([(48,), (1, 24, 2), (2, 4, 6), (4, 3, 2, 2)]),
    back=st.booleans(),
)
def test_ops_cancel_only_where_they_come_back(
    tiny_graph: Build, mend_with: Build, kind: str, form: Any, middle: Any, back: bool
) -> None:
    home, shape = (1, 4, 6, 2), (1, 4, 6, 2) if back else (1, 6, 4, 2)
    rounded = ("QUANTIZE", (home, "int8", form[0], form[1] + (not back)), None)
    ops = {
        "QUANTIZE": [rounded],
        "DEQUANTIZE": [("DEQUANTIZE", (home, "float32"), None), rounded],
        "RESHAPE": [("RESHAPE", (shape, "int8", *form), shape)],
        "RESHAPE RESHAPE": [
            ("RESHAPE", (middle, "int8", *form), middle),
            ("RESHAPE", (shape, "int8", *form), shape),
        ],
    }[kind]
    result = mend_with(_two(tiny_graph(), ops, form=form), Cancel(), accept)
    assert (result.done, result.steps) == (back, 0)
    assert result.ops == [*(name for name, *_ in ops if not back), "TANH"]


@many
@given(
    op=st.sampled_from(["SLICE", "STRIDED_SLICE"]),
    begin=st.lists(st.integers(0, 1), min_size=4, max_size=4),
    cut=st.lists(st.integers(0, 1), min_size=4, max_size=4),
    strides=st.lists(st.sampled_from([1, 1, 1, -1]), min_size=4, max_size=4),
)
def test_slices_cancel_only_where_they_take_all(
    tiny_graph: Build, mend_with: Build, op: str, begin: Any, cut: Any, strides: Any
) -> None:
    shape = (3, 4, 6, 3)
    turned = op == "STRIDED_SLICE" and -1 in strides
    if turned:  # the whole backwards: the shape tells nothing
        lists = [[-1 if s < 0 else 0 for s in strides], [0] * 4, strides]
        masks = sum(1 << axis for axis in range(4))
        taken, options = shape, schema.StridedSliceOptionsT(beginMask=masks, endMask=masks)
    else:
        taken = tuple(n - b - c for n, b, c in zip(shape, begin, cut, strict=True))
        last = [b + n for b, n in zip(begin, taken, strict=True)]
        lists = [begin, taken] if op == "SLICE" else [begin, last, [1] * 4]
        options = schema.SliceOptionsT() if op == "SLICE" else schema.StridedSliceOptionsT()
    graph = tiny_graph()
    x = graph.tensor("x", shape, "int8", 0.05, 3)
    y = graph.tensor("net/y/op", taken, "int8", 0.05, 3)
    end = graph.tensor("net/end/op", taken, "int8", 1 / 128, 0)
    numbers = [graph.tensor(f"n{k}", (4,), "int32", data=one) for k, one in enumerate(lists)]
    graph.op(op, [x, *numbers], y, 2, options)
    graph.op("TANH", [y], end, 2)
    result = mend_with(graph.build([x], [end]), Cancel(), accept)
    assert result.steps == 0
    assert result.done is (taken == shape and not turned)


@many
@given(order=st.permutations(range(4)), other=st.permutations(range(4)))
def test_transposes_cancel_only_where_they_do(
    tiny_graph: Build, mend_with: Build, order: list[int], other: list[int]
) -> None:
    shape = (1, 3, 3, 3)  # equal sizes: the shapes alone tell nothing
    graph = tiny_graph()
    x = graph.tensor("x", shape, "int8", 0.05, 3)
    y, z = (graph.tensor(f"net/{name}/op", shape, "int8", 0.05, 3) for name in "yz")
    end = graph.tensor("net/end/op", shape, "int8", 1 / 128, 0)
    orders = [graph.tensor(f"o{n}", (4,), "int32", data=o) for n, o in enumerate((order, other))]
    graph.op("TRANSPOSE", [x, orders[0]], y, 2)
    graph.op("TRANSPOSE", [y, orders[1]], z, 2)
    graph.op("TANH", [z], end, 2)
    result = mend_with(graph.build([x], [end]), Cancel(), accept)
    assert result.steps == 0
    back = [order[axis] for axis in other] == [0, 1, 2, 3]
    assert result.done is back


@many
@given(
    middle=st.sampled_from([[1, 24, 2], [2, 4, 6], [48], [4, 3, 2, 2]]),
    scale=st.floats(0.02, 0.2),
    zero_point=st.integers(-128, 127),
    shapes=st.booleans(),
)
def test_every_pair_becomes_one_op(
    tiny_graph: Build, mend_with: Build, middle: Any, scale: float, zero_point: int, shapes: bool
) -> None:
    if shapes:
        last = ((1, 8, 6, 1), "int8", 0.05, 3)
        ops = [("RESHAPE", (middle, "int8", 0.05, 3), middle), ("RESHAPE", last, [1, 8, 6, 1])]
    else:
        last = ((1, 4, 6, 2), "int8", scale, zero_point)
        ops = [("DEQUANTIZE", ((1, 4, 6, 2), "float32"), None), ("QUANTIZE", last, None)]
    result = mend_with(_two(tiny_graph(), ops, end=True), MergePair(), accept)
    assert len(result.ops) == 1
    assert result.steps <= (0 if shapes else 1)


def test_equal_constants_and_constant_ops_go(tiny_graph: Build, run_once: Build) -> None:
    graph = tiny_graph()
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(1, 8, 8, 4))
    x = graph.tensor("x", (1, 8, 8, 4), "float32")
    a, b = (graph.tensor(name, (1, 8, 8, 4), "float32", data=numbers) for name in "ab")
    c, y, z = (graph.tensor(f"net/{n}/op", (1, 8, 8, 4), "float32") for n in "cyz")
    graph.op("MUL", [a, b], c, 1, schema.MulOptionsT())
    graph.op("ADD", [x, c], y, 1, schema.AddOptionsT())
    graph.op("SUB", [y, b], z, 1, schema.SubOptionsT())
    data = graph.build([x], [z])
    result = mend_model(data)
    assert op_names(read_model(result.data)) == ["ADD", "SUB"]
    assert run_once(result.data) == run_once(data)
    assert [r.rewrite for r in result.records] == ["fold_constants"]


def test_equal_constants_are_held_once(tiny_graph: Build, run_once: Build) -> None:
    graph = tiny_graph()
    numbers = np.random.default_rng(0).normal(size=(1, 32, 32, 4))
    x = graph.tensor("x", (1, 32, 32, 4), "float32")
    a, b = (graph.tensor(name, (1, 32, 32, 4), "float32", data=numbers) for name in "ab")
    y, z = (graph.tensor(f"net/{n}/op", (1, 32, 32, 4), "float32") for n in "yz")
    graph.op("MUL", [x, a], y, 1, schema.MulOptionsT())
    graph.op("SUB", [y, b], z, 1, schema.SubOptionsT())
    data = graph.build([x], [z])
    result = mend_model(data)
    assert len(data) - len(result.data) >= numbers.size * 4
    assert run_once(result.data) == run_once(data)
    assert "1 constants held twice, 16384 bytes" in result.records[0].reason
