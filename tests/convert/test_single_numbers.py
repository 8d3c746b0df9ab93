"""A place whose cases were all tried is exact for certain, and no other one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.mending.single_numbers import all_cases_tried

Build = Callable[..., Any]
SHAPE = (1, 16, 16, 4)
EVERY_BYTE = np.arange(1024).astype(np.int8).reshape(SHAPE)  # in no channel all of them
IN_EVERY_CHANNEL = (np.arange(256)[:, None] + np.arange(4)).astype(np.int8).reshape(SHAPE)


def _of_one_op(graph: Any, op: str, options: Any = None, form: Any = (0.05, 3)) -> bytes:
    x = graph.tensor("x", SHAPE, "int8", 0.05, 3)
    y = graph.tensor("net/op", SHAPE, "int8", *form)
    graph.op(op, [x], y, 2 if op == "SOFTMAX" else 1, options)
    return bytes(graph.build([x], [y]))


def _with_numbers(graph: Any, shape: tuple[int, ...], *, turned: bool = False) -> bytes:
    x = graph.tensor("x", SHAPE, "int8", 0.05, 3)
    numbers = graph.tensor("numbers", shape, "int8", 0.1, data=np.ones(shape))
    y = graph.tensor("net/op", SHAPE, "int8", 0.05, 3)
    graph.op("MUL", [x, numbers], y, 2, schema.MulOptionsT())
    if turned:
        order = graph.tensor("order", (4,), "int32", data=np.arange(4))
        y = graph.tensor("net/turned", SHAPE, "int8", 0.05, 3)
        graph.op("TRANSPOSE", [len(graph.graph.tensors) - 3, order], y, 2)
    return bytes(graph.build([x], [y]))


def _tried(data: bytes, *arrays: Any) -> bool:
    return all_cases_tried(list_nodes(read_model(data)), [(array,) for array in arrays])


def test_every_byte_is_every_case_of_one_number(tiny_graph: Build) -> None:
    data = _of_one_op(tiny_graph(), "HARD_SWISH")
    assert _tried(data, EVERY_BYTE)
    assert _tried(data, EVERY_BYTE[:, :8], EVERY_BYTE[:, 8:])  # by turns
    assert not _tried(data, np.minimum(EVERY_BYTE, 126))
    assert not _tried(data, EVERY_BYTE.astype(np.float32))


def test_what_differs_by_channel_needs_every_byte_in_each(tiny_graph: Build) -> None:
    assert _tried(_with_numbers(tiny_graph(), ()), EVERY_BYTE)
    for_channels = _with_numbers(tiny_graph(), (4,))
    assert not _tried(for_channels, EVERY_BYTE)
    assert _tried(for_channels, IN_EVERY_CHANNEL)
    # Elsewhere the channels are others.
    assert not _tried(_with_numbers(tiny_graph(), (4,), turned=True), IN_EVERY_CHANNEL)
    assert not _tried(_with_numbers(tiny_graph(), SHAPE), IN_EVERY_CHANNEL)


@pytest.mark.parametrize("op", ["SOFTMAX", "AVERAGE_POOL_2D"])
def test_no_sample_is_every_case_of_several_numbers(tiny_graph: Build, op: str) -> None:
    assert not _tried(_of_one_op(tiny_graph(), op), IN_EVERY_CHANNEL)


@pytest.mark.parametrize(
    ("op", "options", "form", "exact"),
    [
        ("HARD_SWISH", None, (0.025, -128), True),
        # As many classes as these have more cases than anyone tries.
        ("SOFTMAX", schema.SoftmaxOptionsT(beta=1.0), (1 / 256, -128), False),
    ],
)
def test_only_what_was_tried_throughout_is_called_exact(
    tiny_graph: Build, op: str, options: Any, form: Any, exact: bool
) -> None:
    (record,) = mend_model(_of_one_op(tiny_graph(), op, options, form)).records
    assert record.rewrite == "through_float"
    assert record.max_abs_error == 0
    assert record.exact is exact
