"""Reading, writing, renaming, pruning and counting finished files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import (
    builtin_code,
    op_code_index,
    op_name,
    read_model,
    rename_io,
    serialize,
)
from portrait_tflite.convert.files.flatbuffer_nodes import (
    count_macs,
    count_ops,
    list_nodes,
    op_names,
)
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]


def test_writing_what_was_read_changes_nothing(relu_net: Build, run_once: RunOnce) -> None:
    data = relu_net()
    again = serialize(read_model(data))
    assert serialize(read_model(again)) == again
    assert run_once(again) == run_once(data)


def test_reads_a_path(relu_net: Build, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    assert op_names(read_model(path)) == ["CONV_2D", "RELU", "CONV_2D", "RELU", "CONV_2D"]


def test_data_are_aligned_to_16_bytes(relu_net: Build) -> None:
    root = schema.Model.GetRootAs(relu_net(), 0)
    buffers = [root.Buffers(i) for i in range(root.BuffersLength())]
    places = [b._tab.Vector(b._tab.Offset(4)) for b in buffers if b.DataLength()]
    assert places
    assert all(place % 16 == 0 for place in places)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\x00" * 64, b"\x08\x00\x00\x00TFL3", b"0123TFL3" * 9]
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"\.tflite file is required"):
        read_model(data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_model(tmp_path / "none.tflite")


@settings(deadline=None, max_examples=40)
@given(share=st.floats(0, 0.97))
def test_a_truncated_file_never_crashes(share: float, relu_bytes: bytes) -> None:
    with pytest.raises(UsageError):
        open_model(serialize(read_model(relu_bytes[: int(len(relu_bytes) * share)])))


@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, 3000), value=st.integers(0, 255))
def test_a_damaged_byte_never_crashes(place: int, value: int, relu_bytes: bytes) -> None:
    damaged = bytearray(relu_bytes)
    damaged[place % len(damaged)] = value
    try:
        model = read_model(bytes(damaged))
    except UsageError:
        return
    count_ops(model)


@pytest.fixture(scope="module")
def relu_bytes() -> bytes:
    graph = schema.SubGraphT(tensors=[], operators=[])
    for name in ("x", "y"):
        graph.tensors.append(schema.TensorT(shape=np.array([1, 4], np.int32), name=name.encode()))
    model = schema.ModelT(
        version=3, operatorCodes=[], subgraphs=[graph], buffers=[schema.BufferT()]
    )
    ends = np.array([0], np.int32), np.array([1], np.int32)
    graph.inputs, graph.outputs = ends
    code = op_code_index(model, "RELU", 1)
    graph.operators.append(schema.OperatorT(opcodeIndex=code, inputs=ends[0], outputs=ends[1]))
    return serialize(model)


def _no_graph(model: Any) -> None:
    model.subgraphs = []


def _lost_tensor(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs = np.array([99], np.int32)


def _lost_output(model: Any) -> None:
    model.subgraphs[0].outputs = np.array([99], np.int32)


def _lost_code(model: Any) -> None:
    model.subgraphs[0].operators[0].opcodeIndex = 99


def _lost_buffer(model: Any) -> None:
    model.subgraphs[0].tensors[0].buffer = 99


@pytest.mark.parametrize(
    "damage", [_no_graph, _lost_tensor, _lost_output, _lost_code, _lost_buffer]
)
def test_indices_that_point_nowhere_are_refused(
    relu_net: Build, damage: Callable[[Any], None]
) -> None:
    model = read_model(relu_net())
    damage(model)
    with pytest.raises(UsageError, match="Received"):
        read_model(serialize(model))


def _moved_behind(data: bytes) -> tuple[bytes, int]:
    """Put the first constant behind the flatbuffer, as large files have it.

    Returns:
        The file, and which buffer it is.
    """
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    number = next(i for i, buffer in enumerate(model.buffers) if buffer.data is not None)
    buffer = model.buffers[number]
    moved, buffer.data = bytes(buffer.data), None
    buffer.size = len(moved)
    buffer.offset = 1 << 20
    # Again with the length, which the number does not change.
    buffer.offset = len(_packed(model))
    return _packed(model) + moved, number


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _buffers(data: bytes) -> list[bytes]:
    return [b"" if b.data is None else bytes(b.data) for b in read_model(data).buffers]


def test_weights_behind_the_flatbuffer_are_taken_in(relu_net: Build) -> None:
    data, number = _moved_behind(relu_net())
    assert _buffers(data) == _buffers(relu_net())
    assert _buffers(data)[number]
    assert _buffers(serialize(read_model(data))) == _buffers(data)


def test_weights_behind_the_end_of_the_file_are_refused(relu_net: Build) -> None:
    data, _ = _moved_behind(relu_net())
    with pytest.raises(UsageError, match="cut off"):
        read_model(data[:-1])


def test_weights_in_another_file_are_refused(
    relu_net: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_model(relu_net())
    model.externalBuffers = [schema.ExternalBufferT()]
    monkeypatch.setattr(schema.ModelT, "InitFromPackedBuf", lambda *_: model)
    with pytest.raises(UsageError, match="in another file"):
        read_model(relu_net())


def test_the_larger_code_counts() -> None:
    old = schema.OperatorCodeT(deprecatedBuiltinCode=3)
    new = schema.OperatorCodeT(deprecatedBuiltinCode=127, builtinCode=150)
    assert (op_name(old), builtin_code(new)) == ("CONV_2D", 150)
    custom = schema.OperatorCodeT(deprecatedBuiltinCode=32, builtinCode=32, customCode=b"Mine")
    assert op_name(custom) == "CUSTOM:Mine"


def test_op_codes_are_found_or_added(relu_net: Build) -> None:
    model = read_model(relu_net())
    count = len(model.operatorCodes)
    assert op_code_index(model, "RELU", 2) == op_code_index(model, "RELU", 2) < count
    assert op_code_index(model, "RELU", 3) == count
    assert op_code_index(model, "BROADCAST_TO", 2) == count + 1
    assert model.operatorCodes[-1].deprecatedBuiltinCode == 127


def test_renames_graph_and_signature(relu_net: Build) -> None:
    model = read_model(relu_net())
    rename_io(model, ["image", "state"], ["mask", "next_state"])
    runner = open_model(serialize(model))
    assert (runner.inputs[0].name, runner.outputs[0].name) == ("image", "mask")
    signature = read_model(serialize(model)).signatureDefs[0]
    assert (signature.inputs[0].name, signature.outputs[0].name) == (b"image", b"mask")


def test_renaming_leaves_other_outputs_alone(tiny_graph: Build) -> None:
    graph = tiny_graph()
    source, first, second = (graph.tensor(name, (1, 4), "float32") for name in "xyz")
    graph.op("RELU", [source], first)
    graph.op("TANH", [source], second)
    model = read_model(graph.build([source], [second, first]))
    rename_io(model)
    runner = open_model(serialize(model))
    assert [info.name for info in runner.outputs] == ["mask", "y"]
    assert [entry.name for entry in model.signatureDefs[0].outputs] == [b"mask", b"out_1"]


def test_drops_what_nobody_uses(relu_net: Build, run_once: RunOnce) -> None:
    data = relu_net()
    model = read_model(data)
    tensors, buffers = len(model.subgraphs[0].tensors), len(model.buffers)
    model.buffers.append(schema.BufferT(data=np.zeros(100, np.uint8)))
    model.subgraphs[0].tensors.insert(0, schema.TensorT(name=b"lost", buffer=buffers))
    _shift_tensors(model)
    op_code_index(model, "SOFTMAX", 1)
    drop_unused(model)
    assert (len(model.subgraphs[0].tensors), len(model.buffers)) == (tensors, buffers)
    assert [op_name(code) for code in model.operatorCodes] == ["CONV_2D", "RELU"]
    assert run_once(serialize(model)) == run_once(data)


def _shift_tensors(model: Any) -> None:
    """Make room for a tensor that was put in front."""
    graph = model.subgraphs[0]
    graph.inputs, graph.outputs = graph.inputs + 1, graph.outputs + 1
    for operator in graph.operators:
        operator.inputs, operator.outputs = operator.inputs + 1, operator.outputs + 1
    for signature in model.signatureDefs:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex += 1


def test_drops_ops_that_nobody_reads(tiny_graph: Build) -> None:
    graph = tiny_graph()
    source, kept, dead, deader = (graph.tensor(name, (1, 4), "float32") for name in "xyuv")
    graph.op("RELU", [source], kept)
    graph.op("TANH", [source], dead)
    graph.op("LOGISTIC", [dead], deader)
    model = read_model(graph.build([source], [kept]))
    drop_unused(model)
    assert op_names(model) == ["RELU"]
    assert len(model.subgraphs[0].tensors) == 2


def test_keeps_metadata(relu_net: Build) -> None:
    model = read_model(relu_net())
    model.buffers.append(schema.BufferT(data=np.frombuffer(b"hello", np.uint8)))
    model.metadata = [schema.MetadataT(name=b"note", buffer=len(model.buffers) - 1)]
    model.buffers.insert(1, schema.BufferT(data=np.zeros(9, np.uint8)))
    for tensor in model.subgraphs[0].tensors:
        tensor.buffer += tensor.buffer > 0
    model.metadata[0].buffer += 1
    drop_unused(model)
    again = read_model(serialize(model))
    assert bytes(again.buffers[again.metadata[0].buffer].data) == b"hello"


def test_counts_ops_and_macs(relu_net: Build) -> None:
    model = read_model(relu_net())
    assert count_ops(model) == {"CONV_2D": 3, "RELU": 2}
    assert count_macs(model) == 3 * 8 * 8 * 4 * 4


def test_macs_of_the_other_kinds(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4, 4, 2), "float32")
    depth_weights = graph.tensor("dw", (1, 3, 3, 2), "float32", data=np.ones((1, 3, 3, 2)))
    depth = graph.tensor("d", (1, 2, 2, 2), "float32")
    up_shape = graph.tensor("s", (4,), "int32", data=[1, 4, 4, 3])
    up_weights = graph.tensor("uw", (3, 2, 2, 2), "float32", data=np.ones((3, 2, 2, 2)))
    up = graph.tensor("u", (1, 4, 4, 3), "float32")
    graph.op("DEPTHWISE_CONV_2D", [x, depth_weights, -1], depth)
    graph.op("TRANSPOSE_CONV", [up_shape, up_weights, depth], up)
    model = read_model(graph.build([x], [up]))
    # output positions × kernel, then input positions × kernel
    assert count_macs(model) == 2 * 2 * 18 + 2 * 2 * 24
    assert list_nodes(model)[0].inputs[2] is None


def test_the_first_buffer_is_no_data_though_it_has_a_vector_of_no_bytes(
    relu_net: Build, run_once: RunOnce
) -> None:
    plain = relu_net()
    model = read_model(plain)
    model.buffers[0].data = np.zeros(0, np.uint8)
    builder = flatbuffers.Builder(1 << 10)
    builder.Finish(model.Pack(builder), b"TFL3")
    data = bytes(builder.Output())
    assert schema.ModelT.InitFromPackedBuf(data, 0).buffers[0].data is not None
    assert not any(node.outputs[0].constant for node in list_nodes(read_model(data)))
    mended = mend_model(data)
    assert [record.rewrite for record in mended.records] == ["relu_to_quantize"] * 2
    assert run_once(mended.data) == run_once(data) == run_once(plain)
