"""Which tensors have one scale, and what of them is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.quantize.remedies.scale_families import scale_families, told_apart

Tiny = Callable[[], Any]


def _node(data: bytes, op: str) -> Node:
    return next(node for node in list_nodes(read_model(data)) if node.op == op)


def test_what_is_moved_and_joined_has_one_scale(network: RangedNetwork) -> None:
    joined = _node(network.data, "CONCATENATION")
    pooled = _node(network.data, "MAX_POOL_2D")
    (family,) = [
        members for members in scale_families(network.data) if joined.outputs[0].index in members
    ]
    depthwise = _node(network.data, "DEPTHWISE_CONV_2D").outputs[0].index
    assert {depthwise, pooled.given()[0].index, pooled.outputs[0].index} <= set(family)


def test_given_scales_are_left_alone(network: RangedNetwork) -> None:
    model = read_model(network.data)
    found = {number for members in scale_families(network.data) for number in members}
    assert not found & {int(n) for n in model.subgraphs[0].inputs}
    assert _node(network.data, "LOGISTIC").outputs[0].index not in found
    assert _node(network.data, "TRANSPOSE_CONV").outputs[0].index in found


def test_a_sigmoid_tells_apart_what_changes_its_byte(network: RangedNetwork) -> None:
    (needed,) = told_apart(network.data).values()
    assert 1 / (1 + np.exp(-needed.high)) == pytest.approx(1 - 1 / 512)
    assert needed.low == -needed.high


def _chain(tiny: Any, *ops: str, output: int = -1) -> tuple[bytes, list[int]]:
    values = [tiny.tensor("x", (1, 4, 4, 2), "float32")]
    paddings = tiny.tensor("paddings", (4, 2), "int32", data=np.zeros((4, 2), np.int32))
    for number, op in enumerate(ops):
        values.append(tiny.tensor(f"net/{number}", (1, 4, 4, 2), "float32"))
        more = [paddings] if op == "PAD" else []
        options = schema.PadOptionsT() if op == "PAD" else None
        tiny.op(op, [values[-2], *more], values[-1], options=options)
    return tiny.build([values[0]], [values[output], values[-1]]), values


def test_a_relu_behind_a_move_needs_what_is_positive(tiny_graph: Tiny) -> None:
    data, values = _chain(tiny_graph(), "TANH", "PAD", "RELU", "EXP")
    found = told_apart(data)
    assert found[values[1]] == found[values[2]] == Range(0.0, float("inf"))
    assert values[3] not in found


def _clip(tiny: Any, value: int, op: str, bound: Any) -> int:
    number = tiny.tensor(f"{op}_bound", np.shape(bound), "float32", data=bound)
    clipped = tiny.tensor(f"net/{op}", (1, 4), "float32")
    tiny.op(op, [value, number], clipped, options=schema.MaximumMinimumOptionsT())
    return int(clipped)


def test_a_clip_of_the_network_needs_what_it_leaves(tiny_graph: Tiny) -> None:
    tiny = tiny_graph()
    source, value = (tiny.tensor(name, (1, 4), "float32") for name in "ab")
    tiny.op("EXP", [source], value)
    lower = _clip(tiny, value, "MAXIMUM", [-1.5])
    upper = _clip(tiny, lower, "MINIMUM", [2.0, 0.5, 1.0, 0.0])
    found = told_apart(tiny.build([source], [upper]))
    assert found == {value: Range(-1.5, 2.0), lower: Range(float("-inf"), 2.0)}


def test_the_larger_of_two_tensors_needs_both(tiny_graph: Tiny) -> None:
    tiny = tiny_graph()
    source, one, other, larger = (tiny.tensor(name, (1, 4), "float32") for name in "abcd")
    tiny.op("EXP", [source], one)
    tiny.op("NEG", [source], other)
    tiny.op("MAXIMUM", [one, other], larger, options=schema.MaximumMinimumOptionsT())
    assert told_apart(tiny.build([source], [larger])) == {}


def test_two_readers_need_what_either_does(tiny_graph: Tiny) -> None:
    tiny = tiny_graph()
    source, value, *ends = (tiny.tensor(name, (1, 4), "float32") for name in "abcd")
    tiny.op("EXP", [source], value)
    tiny.op("RELU6", [value], ends[0])
    tiny.op("RELU_N1_TO_1", [value], ends[1])
    assert told_apart(tiny.build([source], ends))[value] == Range(-1.0, 6.0)


def test_one_reader_or_user_who_needs_all_is_enough(tiny_graph: Tiny) -> None:
    data, values = _chain(tiny_graph(), "EXP", "RELU", "EXP", output=1)
    assert values[1] not in told_apart(data)
    tiny = tiny_graph()
    source, value, *ends = (tiny.tensor(name, (1, 4), "float32") for name in "abcd")
    tiny.op("EXP", [source], value)
    tiny.op("RELU", [value], ends[0])
    tiny.op("EXP", [value], ends[1])
    assert told_apart(tiny.build([source], ends)) == {}
