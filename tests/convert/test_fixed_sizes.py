"""Released files that leave sizes open: a batch, or a picture of any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes, op_names
from portrait_tflite.convert.loading.released import Released, read_released
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Released]:
    """Give a function that reads bytes as a released file."""

    def released(data: bytes, **options: Any) -> Released:
        path = tmp_path / "released.tflite"
        path.write_bytes(data)
        return read_released(path, **options)

    return released


@pytest.fixture
def upsampling(tiny_graph: Build) -> Build:
    """Give a builder of ABS and transposed convolutions as Keras exports them with a free batch.

    The size of each is computed from the batch that SHAPE reads, as is what the second one reads.
    """

    def build(shape_is_output: bool = False) -> bytes:
        graph = tiny_graph()
        x = graph.tensor("x", (1, 4, 4, 2), "float32")
        value = graph.tensor("abs", (1, 4, 4, 2), "float32")
        _leave_open(graph, (x, value), (-1, 4, 4, 2))
        graph.op("ABS", [x], value, 1, schema.AbsOptionsT())
        outputs = []
        for number in range(2):
            value, size = _doubled(graph, value, number, 8 * (number + 1))
            outputs += [size] if shape_is_output else []
        return bytes(graph.build([x], [value, *outputs]))

    return build


def _leave_open(graph: Any, tensors: Any, signature: Any) -> None:
    for tensor in tensors:
        graph.graph.tensors[tensor].shapeSignature = np.array(signature, np.int32)


@pytest.fixture
def resizing(tiny_graph: Build) -> Build:
    """Give a builder of a bilinear resize to twice the size, which it computes."""

    def build(signature: Any = (-1, -1, -1, 2), started: Any = (1, 1, 1, 2)) -> bytes:
        graph = tiny_graph()
        x, y = (graph.tensor(name, started, "float32") for name in "xy")
        _leave_open(graph, (x, y), signature)
        shape = _shape_of(graph, x, "shape")
        sides, size = (graph.tensor(name, (2,), "int32") for name in ("sides", "size"))
        borders = (_constant(graph, value) for value in ([1], [3], [1]))
        graph.op("STRIDED_SLICE", [shape, *borders], sides, 1, schema.StridedSliceOptionsT())
        graph.op("MUL", [sides, _constant(graph, 2)], size, 1, schema.MulOptionsT())
        graph.op("RESIZE_BILINEAR", [x, size], y, 3, schema.ResizeBilinearOptionsT())
        return bytes(graph.build([x], [y]))

    return build


def _constant(graph: Any, value: Any) -> int:
    name = f"constant_{len(graph.graph.tensors)}"
    return int(graph.tensor(name, np.shape(value), "int32", data=value))


def _shape_of(graph: Any, source: int, name: str) -> int:
    shape = graph.tensor(name, (4,), "int32")
    graph.op("SHAPE", [source], shape, 1, schema.ShapeOptionsT(outType=schema.TensorType.INT32))
    return int(shape)


def _doubled(graph: Any, source: int, number: int, side: int) -> tuple[int, int]:
    """Add SHAPE → STRIDED_SLICE → PACK → TRANSPOSE_CONV; its output, and the tensor of SHAPE."""
    shape = _shape_of(graph, source, f"shape_{number}")
    first = graph.tensor(f"batch_{number}", (), "int32")
    options = schema.StridedSliceOptionsT(shrinkAxisMask=1)
    borders = (_constant(graph, value) for value in ([0], [1], [1]))
    graph.op("STRIDED_SLICE", [shape, *borders], first, 1, options)
    size = graph.tensor(f"size_{number}", (4,), "int32")
    sides = [_constant(graph, n) for n in (side, side, 2)]
    graph.op("PACK", [first, *sides], size, 1, schema.PackOptionsT(valuesCount=4))
    weights = np.random.default_rng(number).normal(size=(2, 3, 3, 2))
    kernel = graph.tensor(f"kernel_{number}", (2, 3, 3, 2), "float32", data=weights)
    target = graph.tensor(f"up_{number}", (1, 1, 1, 2), "float32")
    _leave_open(graph, [target], (-1, -1, -1, 2))
    stride = schema.TransposeConvOptionsT(padding=0, strideW=2, strideH=2)
    graph.op("TRANSPOSE_CONV", [size, kernel, source], target, 1, stride)
    return target, shape


def _shapes(data: bytes) -> list[tuple[int, ...]]:
    return [node.outputs[0].shape for node in list_nodes(read_model(data))]


def _outputs(data: bytes) -> list[bytes]:
    runner = open_model(data, Delegate.CPU)
    rng = np.random.default_rng(1)
    arrays = runner.run(*(random_input(info, rng) for info in runner.inputs))
    return [array.tobytes() for array in arrays]


def test_a_free_batch_is_one(upsampling: Build, read: Build) -> None:
    data = upsampling()
    before = audit_model(data)
    assert {"SHAPE", "PACK", "TRANSPOSE_CONV"} <= {op.op for op in before.xnnpack.outside}
    released = read(data)
    assert op_names(read_model(released.data)) == ["ABS", "TRANSPOSE_CONV", "TRANSPOSE_CONV"]
    assert _shapes(released.data) == [(1, 4, 4, 2), (1, 8, 8, 2), (1, 16, 16, 2)]
    after = audit_model(released.data)
    assert (after.xnnpack.partitions, after.xnnpack.outside, after.gpu.outside) == (1, (), ())
    assert _outputs(released.data) == _outputs(data)


def test_it_is_said_and_the_file_that_came_is_kept(upsampling: Build, read: Build) -> None:
    data = upsampling()
    released = read(data)
    (record,) = released.records
    assert (record.rewrite, record.layer, record.chosen) == ("fixed_sizes", "x", "[1, 4, 4, 2]")
    assert "6 ops that compute sizes became constants" in record.reason
    assert released.as_released == data


def test_a_picture_of_any_size_needs_one(resizing: Build, read: Build) -> None:
    with pytest.raises(UsageError, match=r"any size \(\[\?, \?, \?, 2\]\): --size HxW is required"):
        read(resizing())
    sized = read(resizing(), size=(6, 10))
    assert op_names(read_model(sized.data)) == ["RESIZE_BILINEAR"]
    assert open_model(sized.data).inputs[0].shape == (1, 6, 10, 2)
    assert open_model(sized.data).outputs[0].shape == (1, 12, 20, 2)
    assert _outputs(sized.data) == _outputs(sized.as_released)


def test_a_size_that_the_runtime_starts_with_is_kept(resizing: Build, read: Build) -> None:
    sized = read(resizing(started=(1, 4, 5, 2)))
    assert open_model(sized.data).inputs[0].shape == (1, 4, 5, 2)
    several = read(resizing(signature=(-1, 4, 5, 2), started=(8, 4, 5, 2)))
    assert open_model(several.data).inputs[0].shape == (1, 4, 5, 2)


def test_a_size_that_is_an_output_is_still_computed(upsampling: Build, read: Build) -> None:
    data = upsampling(shape_is_output=True)
    released = read(data)
    assert op_names(read_model(released.data)).count("SHAPE") == 2
    assert _outputs(released.data) == _outputs(data)


def test_a_file_of_fixed_sizes_is_the_very_one(
    relu_net: Build, read: Build, tiny_graph: Build
) -> None:
    data = relu_net()
    assert read(data) == Released(data)
    # A number without dimensions is no open size.
    graph = tiny_graph()
    x, y = graph.tensor("x", (1, 4), "float32"), graph.tensor("y", (), "float32")
    axes = graph.tensor("axes", (2,), "int32", data=[0, 1])
    graph.op("MEAN", [x, axes], y, 1, schema.ReducerOptionsT(keepDims=False))
    data = graph.build([x], [y])
    assert read(data) == Released(data)


def test_a_tensor_without_dimensions_gets_those_it_has(tiny_graph: Build, read: Build) -> None:
    graph = tiny_graph()
    x, y = graph.tensor("x", (1, 4, 4, 2), "float32"), graph.tensor("y", (), "float32")
    mask = graph.tensor("mask", (1, 4, 4, 2), "float32")
    graph.op("ABS", [x], y, 1, schema.AbsOptionsT())
    graph.op("LOGISTIC", [y], mask, 1)
    released = read(graph.build([x], [mask]))
    assert _shapes(released.data) == [(1, 4, 4, 2), (1, 4, 4, 2)]


def test_a_size_that_follows_from_the_picture_stays_open(tiny_graph: Build, read: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4), "float32")
    _leave_open(graph, [x], (-1, 4))
    places = graph.tensor("places", (1, 2), "int64")
    _leave_open(graph, [places], (-1, 2))
    shape = graph.tensor("shape", (2,), "int32")
    graph.op("WHERE", [x], places, 1)
    graph.op("SHAPE", [places], shape, 1, schema.ShapeOptionsT(outType=schema.TensorType.INT32))
    doubled = graph.tensor("doubled", (2,), "int32")
    graph.op("ADD", [shape, shape], doubled, 1, schema.AddOptionsT())
    data = graph.build([x], [doubled])
    released = read(data)
    assert op_names(read_model(released.data)) == ["WHERE", "SHAPE", "ADD"]
    assert _outputs(released.data) == _outputs(data)
