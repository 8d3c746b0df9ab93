"""What the audit says: partitions from the real runtime, reasons from the tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.delegates.fixes import DYNAMIC_FIX, FIXES
from portrait_tflite.convert.delegates.gpu_ops import GPU_MAX_VERSIONS, GPU_OPS
from portrait_tflite.convert.delegates.xnnpack_ops import XNNPACK_FLOAT_ONLY_OPS, XNNPACK_OPS
from portrait_tflite.convert.delegates.xnnpack_prediction import Prediction
from portrait_tflite.convert.files.file_facts import count_inside, weigh_file
from portrait_tflite.convert.files.flatbuffer import BUILTIN_CODES, read_model, serialize
from portrait_tflite.convert.files.op_versions import FIRST_RUNTIMES, first_runtime, runtime_order
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import OutsideOp

Build = Callable[..., Any]


def test_a_clean_file_is_inside_everywhere(relu_net: Build) -> None:
    audit = audit_model(relu_net(relu="RELU6"))
    assert audit.gpu.complete
    assert audit.gpu.partitions is None
    assert (audit.cpu.complete, audit.cpu.partitions) == (True, 0)
    assert audit.ops == {"CONV_2D": 3, "RELU6": 2}


def test_an_op_outside_comes_with_reason_fix_and_layer(relu_net: Build) -> None:
    audit = audit_model(relu_net())
    assert audit.xnnpack.partitions == 3
    assert not audit.xnnpack.complete
    assert audit.xnnpack.outside[0] == OutsideOp(
        op="RELU",
        tensor="net/relu_0/Relu",
        layer="relu_0",
        reason="XNNPACK has RELU in float only; this one is int8",
        fix=FIXES["RELU"],
        rule="CheckTensorFloatType",
        index=1,
    )
    assert (audit.xnnpack.predicted, audit.gpu.predicted, audit.cpu.predicted) == (3, 1, None)


def _one_op(
    graph: Any, op: str, scales: tuple[float, float], options: Any = None, inputs: int = 1
) -> bytes:
    sources = [graph.tensor(f"x{n}", (1, 4, 4, 4), "int8", scales[0]) for n in range(inputs)]
    target = graph.tensor("net/only/op", (1, 4, 4, 4), "int8", scales[1])
    graph.op(op, sources, target, 2, options)
    return bytes(graph.build(sources, [target]))


@pytest.mark.parametrize(
    ("op", "scales", "options", "inputs", "reason"),
    [
        ("ADD", (1e-5, 0.1), schema.AddOptionsT(), 2, r"scale ratio 0\.0001"),
        ("SUB", (50.0, 0.1), schema.SubOptionsT(), 2, r"scale ratio 5e\+02"),
        ("MUL", (1e-4, 0.1), schema.MulOptionsT(), 2, "of the product"),
        ("QUANTIZE", (50.0, 0.1), None, 1, "scale ratio"),
        ("RELU6", (0.1, 0.1), None, 1, "float only; this one is int8"),
        ("TILE", (0.1, 0.1), None, 1, "XNNPACK has no TILE"),
        ("LEAKY_RELU", (0.1, 0.1), schema.LeakyReluOptionsT(alpha=0.0), 1, "a slope of 0"),
    ],
)
def test_reasons_are_those_of_the_runtime(
    tiny_graph: Build,
    op: str,
    scales: tuple[float, float],
    options: Any,
    inputs: int,
    reason: str,
) -> None:
    graph = tiny_graph()
    data = _tile(graph) if op == "TILE" else _one_op(graph, op, scales, options, inputs)
    outside = audit_model(data).xnnpack.outside
    assert [o.op for o in outside] == [op]
    assert re.search(reason, outside[0].reason)
    assert outside[0].fix


def _tile(graph: Any) -> bytes:
    source = graph.tensor("x", (1, 2, 2, 4), "int8", 0.1)
    times = graph.tensor("times", (4,), "int32", data=[1, 2, 2, 1])
    target = graph.tensor("net/only/op", (1, 4, 4, 4), "int8", 0.1)
    graph.op("TILE", [source, times], target, 3)
    return bytes(graph.build([source], [target]))


@pytest.mark.parametrize("count", [5, 6])
def test_concatenation_of_six(tiny_graph: Build, count: int) -> None:
    graph = tiny_graph()
    sources = [graph.tensor(f"x{n}", (1, 4, 4, 1), "int8", 0.1) for n in range(count)]
    target = graph.tensor("y", (1, 4, 4, count), "int8", 0.1)
    graph.op("CONCATENATION", sources, target, 2, schema.ConcatenationOptionsT(axis=3))
    xnnpack = audit_model(graph.build(sources, [target])).xnnpack
    assert xnnpack.complete is (count == 5)
    assert count == 5 or "6 inputs" in xnnpack.outside[0].reason


def test_weights_unpacked_for_an_op_outside_follow_it(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4), "float32")
    packed = graph.tensor("c16", (1, 4), "float16", data=np.ones((1, 4)))
    constant = graph.tensor("c", (1, 4), "float32")
    y = graph.tensor("y", (1, 4), "float32")
    graph.op("DEQUANTIZE", [packed], constant, 3)
    graph.op("POW", [x, constant], y)
    outside = audit_model(graph.build([x], [y])).xnnpack.outside
    assert [op.op for op in outside] == ["DEQUANTIZE", "POW"]
    assert "itself outside" in outside[0].reason


def _transposed(graph: Any, version: int) -> bytes:
    rng = np.random.default_rng(0)
    x = graph.tensor("x", (1, 4, 4, 2), "float32")
    shape = graph.tensor("shape", (4,), "int32", data=[1, 8, 8, 3])
    weights = graph.tensor("w", (3, 2, 2, 2), "float32", data=rng.normal(size=(3, 2, 2, 2)))
    bias = graph.tensor("b", (3,), "float32", data=rng.normal(size=3))
    y = graph.tensor("net/up/BiasAdd", (1, 8, 8, 3), "float32")
    options = schema.TransposeConvOptionsT(strideW=2, strideH=2)
    graph.op("TRANSPOSE_CONV", [shape, weights, x, bias], y, version, options)
    return bytes(graph.build([x], [y]))


@pytest.mark.parametrize("version", [3, 4])
def test_the_gpu_takes_transposed_convolutions_up_to_version_3(
    tiny_graph: Build, version: int
) -> None:
    audit = audit_model(_transposed(tiny_graph(), version))
    assert audit.gpu.complete is (version == 3)
    assert audit.xnnpack.complete
    assert (audit.min_runtime, audit.min_runtime_op) == (
        ("2.3", "TRANSPOSE_CONV v3") if version == 3 else ("2.13", "TRANSPOSE_CONV v4")
    )


def _softmax(graph: Any) -> bytes:
    x, y = (graph.tensor(n, (1, 4, 4, 2), "float32") for n in ("x", "net/s/Softmax"))
    graph.op("SOFTMAX", [x], y, 1, schema.SoftmaxOptionsT(beta=2.0))
    return bytes(graph.build([x], [y]))


def _rank_five(graph: Any) -> bytes:
    x, y = (graph.tensor(n, (1, 2, 2, 2, 2), "float32") for n in ("x", "y"))
    graph.op("RELU", [x], y)
    return bytes(graph.build([x], [y]))


def _arg_max(graph: Any) -> bytes:
    x = graph.tensor("x", (1, 4, 4, 2), "float32")
    axis = graph.tensor("axis", (), "int32", data=3)
    y = graph.tensor("y", (1, 4, 4), "int64")
    graph.op("ARG_MAX", [x, axis], y, 1, schema.ArgMaxOptionsT(outputType=schema.TensorType.INT64))
    return bytes(graph.build([x], [y]))


def _pad_batch(graph: Any) -> bytes:
    x = graph.tensor("x", (4, 4), "float32")
    paddings = graph.tensor("p", (2, 2), "int32", data=[[0, 0], [1, 1]])
    y = graph.tensor("y", (4, 6), "float32")
    graph.op("PAD", [x, paddings], y)
    return bytes(graph.build([x], [y]))


def _resize(graph: Any) -> bytes:
    x = graph.tensor("x", (1, 4, 4, 2), "float32")
    size = graph.tensor("size", (2,), "int32", data=[8, 8])
    y = graph.tensor("y", (1, 8, 8, 2), "float32")
    options = schema.ResizeNearestNeighborOptionsT(alignCorners=True, halfPixelCenters=True)
    graph.op("RESIZE_NEAREST_NEIGHBOR", [x, size], y, 3, options)
    return bytes(graph.build([x], [y]))


def _dynamic(graph: Any) -> bytes:
    x, y = (graph.tensor(n, (1, 4), "float32") for n in ("x", "y"))
    for tensor in graph.graph.tensors:
        tensor.shapeSignature = np.array([-1, 4], np.int32)
    graph.op("RELU", [x], y)
    return bytes(graph.build([x], [y]))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (_softmax, "beta 2"),
        (_rank_five, "rank 5"),
        (_arg_max, "has no ARG_MAX"),
        (_pad_batch, r"paddings of shape \[2, 2\]"),
        (_resize, "together"),
        (_dynamic, "only at run time"),
    ],
)
def test_gpu_rules(tiny_graph: Build, build: Callable[[Any], bytes], reason: str) -> None:
    gpu = audit_model(build(tiny_graph())).gpu
    assert not gpu.complete
    assert re.search(reason, gpu.outside[0].reason)


@pytest.mark.parametrize(
    ("op", "options", "channels", "taken"),
    [
        ("CONCATENATION", schema.ConcatenationOptionsT(axis=3), 4, True),
        ("ADD", schema.AddOptionsT(), 2, True),
        ("MUL", schema.MulOptionsT(), 2, True),
        ("SUB", schema.SubOptionsT(), 2, False),
        ("MAXIMUM", schema.MaximumMinimumOptionsT(), 2, False),
    ],
)
def test_the_gpu_copies_what_is_read_twice_for_some_ops_only(
    tiny_graph: Build, op: str, options: Any, channels: int, taken: bool
) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4, 4, 2), "float32")
    y = graph.tensor("y", (1, 4, 4, channels), "float32")
    graph.op(op, [x, x], y, 1, options)
    assert audit_model(graph.build([x], [y])).gpu.complete is taken


def test_a_custom_op_is_outside_of_everything(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 4), "float32") for name in "xy")
    graph.op("CUSTOM", [x], y)
    graph.model.operatorCodes[0].customCode = b"Mine"
    audit = audit_model(graph.build([x], [y]))
    for delegate in (audit.xnnpack, audit.gpu, audit.cpu):
        assert [op.op for op in delegate.outside] == ["CUSTOM:Mine"]
    assert (audit.min_runtime, audit.min_runtime_op) == ("unknown", "CUSTOM:Mine v1")


def test_beside_a_custom_op_the_rules_are_asked_alone(tiny_graph: Build) -> None:
    graph = tiny_graph()
    a, b, c, d = (graph.tensor(name, (1, 4, 4, 4), "int8", 0.1) for name in "abcd")
    graph.op("CUSTOM", [a], b)
    graph.op("RELU", [b], c, 2)
    graph.op("LOGISTIC", [c], d, 2)
    graph.model.operatorCodes[0].customCode = b"Mine"
    xnnpack = audit_model(graph.build([a], [d])).xnnpack
    assert [op.op for op in xnnpack.outside] == ["CUSTOM:Mine", "RELU"]
    assert (xnnpack.partitions, xnnpack.predicted) == (None, 1)
    assert "custom op" in xnnpack.finding


def test_sizes_that_the_net_computes_are_to_be_fixed(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, y = graph.tensor("x", (1, 4), "float32"), graph.tensor("y", (4,), "float32")
    sizes, one = graph.tensor("sizes", (2,), "int32"), graph.tensor("one", (1,), "int32")
    begin, end, step = (
        graph.tensor(n, (1,), "int32", data=v) for n, v in (("b", 1), ("e", 2), ("s", 1))
    )
    graph.op("SHAPE", [x], sizes, 1, schema.ShapeOptionsT(outType=schema.TensorType.INT32))
    graph.op("STRIDED_SLICE", [sizes, begin, end, step], one, 1, schema.StridedSliceOptionsT())
    graph.op("RESHAPE", [x, one], y, 1, schema.ReshapeOptionsT())
    outside = audit_model(graph.build([x], [y])).xnnpack.outside
    assert {op.op: op.fix for op in outside} == dict.fromkeys(
        ("SHAPE", "STRIDED_SLICE", "RESHAPE"), DYNAMIC_FIX
    )


def test_the_first_of_several_graphs_is_audited(relu_net: Build) -> None:
    model = read_model(relu_net())
    model.subgraphs.append(read_model(relu_net()).subgraphs[0])
    data = serialize(model)
    audit = audit_model(data)
    assert audit.ops == {"CONV_2D": 6, "RELU": 4}
    assert (audit.xnnpack.partitions, len(audit.xnnpack.outside)) == (3, 2)
    assert audit.xnnpack.finding == ""
    facts = weigh_file(data)
    assert (facts.graphs, facts.signatures) == (2, ("serving_default",))
    assert count_inside(data, audit.xnnpack.outside) == {"CONV_2D": 3}


def test_a_prediction_that_the_runtime_does_not_share_is_a_finding(
    relu_net: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = relu_net()
    assert audit_model(data).xnnpack.finding == ""
    wrong = Prediction({}, ((0, 1, 2),), {})
    monkeypatch.setattr("portrait_tflite.convert.audit.predict_xnnpack", lambda _: wrong)
    xnnpack = audit_model(data).xnnpack
    assert "predicted were 1 partitions with 0 ops outside" in xnnpack.finding
    assert "not in our table" in xnnpack.outside[0].reason


@pytest.mark.parametrize("scale", [0.0, 1e-40, float("nan"), float("inf")])
def test_a_scale_that_kills_the_runtime_is_not_run(tiny_graph: Build, scale: float) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4, 4, 2), "int8", 0.1)
    y = graph.tensor("y", (1, 4, 4, 2), "int8", scale)
    graph.op("QUANTIZE", [x], y, 2)
    audit = audit_model(graph.build([x], [y])).xnnpack
    assert audit.partitions is None
    assert "ends the process" in audit.finding


def test_a_file_that_xnnpack_breaks_is_told(tiny_graph: Build) -> None:
    graph = tiny_graph()
    shape = (1, 1, 1, 1, 4, 4, 2)
    x, y = graph.tensor("x", shape, "float32"), graph.tensor("y", (*shape[:-1], 1), "float32")
    axis = graph.tensor("axis", (1,), "int32", data=[6])
    graph.op("SUM", [x, axis], y, 1, schema.ReducerOptionsT(keepDims=True))
    xnnpack = audit_model(graph.build([x], [y])).xnnpack
    assert xnnpack.partitions is None
    assert "does not load this file with XNNPACK" in xnnpack.finding
    assert "rank 7" in xnnpack.outside[0].reason


def test_garbage_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        audit_model(b"garbage")


@pytest.mark.parametrize("op", ["ADD", "CAST", "GATHER", "SLICE"])
def test_ops_without_their_inputs_are_usage_errors(tiny_graph: Build, op: str) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 4, 4, 2), "float32") for name in "xy")
    graph.op(op, [], y)
    with pytest.raises(UsageError, match="failed to prepare"):
        audit_model(graph.build([x], [y]))


def test_files_that_are_cut_off_are_usage_errors(relu_net: Build) -> None:
    data = relu_net()
    for length in range(0, len(data) - 8, 61):
        with pytest.raises(UsageError):
            audit_model(data[:length])


def test_runtimes_are_ordered_by_number() -> None:
    assert first_runtime("TRANSPOSE_CONV", 4) == "2.13"
    assert first_runtime("CONV_2D", 99) == first_runtime("NO_SUCH_OP", 1) == "unknown"
    runtimes = ["unknown", "2.9", "1.14", "2.13", "2.14.4"]
    assert sorted(runtimes, key=runtime_order) == ["1.14", "2.9", "2.13", "2.14.4", "unknown"]


@pytest.mark.parametrize(
    "table",
    [GPU_OPS, GPU_MAX_VERSIONS, XNNPACK_OPS, XNNPACK_FLOAT_ONLY_OPS, FIXES, FIRST_RUNTIMES],
)
def test_tables_name_real_ops(table: Any) -> None:
    assert {op for op in table if not op.startswith("CUSTOM:")} <= set(BUILTIN_CODES)


def test_tables_agree() -> None:
    assert XNNPACK_FLOAT_ONLY_OPS < XNNPACK_OPS
    assert set(GPU_MAX_VERSIONS) <= GPU_OPS
    assert set(FIRST_RUNTIMES) >= GPU_OPS
