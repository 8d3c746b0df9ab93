"""What a fix is worth: by mending the file, by the cost table, or not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_op import INT8, CostedOp
from portrait_tflite.convert.delegates.fixes import BECOMES, FIXES
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.worth import value_fixes
from portrait_tflite.vocabulary import DelegateAudit, OutsideOp

Build = Callable[..., Any]


def _valued(data: bytes, **options: Any) -> DelegateAudit:
    return value_fixes(data, audit_model(data), **options).xnnpack


def _mcycles(data: bytes) -> float:
    return predict(data, CostTable.load("arm64")).cycles / 1e6


def test_what_mending_is_worth_is_the_difference_of_the_files(relu_net: Build) -> None:
    data = relu_net()
    outside = _valued(data).outside
    assert [op.rewrite for op in outside] == ["relu_to_quantize"] * 2
    assert outside[0].fix == "`portrait-tflite convert FILE.tflite` does it: relu_to_quantize"
    mended = mend_model(data).data
    worth = sum(op.worth_mcycles or 0.0 for op in outside)
    assert worth == pytest.approx(_mcycles(data) - _mcycles(mended))
    assert worth > 0
    before, after = (audit_model(each).xnnpack.partitions for each in (data, mended))
    assert (before, after) == (3, 1)
    assert sum(op.partitions_saved or 0 for op in outside) == 2


def test_what_a_judge_refuses_is_not_promised(
    relu_net: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Verdict

    monkeypatch.setattr("portrait_tflite.convert.worth.PlaceJudge", lambda: lambda _: Verdict("no"))
    for op in _valued(relu_net()).outside:
        assert (op.rewrite, op.fix, op.worth_mcycles) == ("", FIXES["RELU"], None)
        assert op.partitions_saved == 1


def _reading_its_own_size(graph: Any, op: str) -> bytes:
    """RELU of a free batch, and a RESHAPE to a size that is computed from a SHAPE by an op."""
    x = graph.tensor("x", (1, 4), "float32")
    y, z = graph.tensor("y", (1, 4), "float32"), graph.tensor("z", (1, 4), "float32")
    for tensor in (x, y, z):
        graph.graph.tensors[tensor].shapeSignature = np.array([-1, 4], np.int32)
    graph.op("RELU", [x], y, 1)
    size, same = graph.tensor("size", (2,), "int32"), graph.tensor("same", (2,), "int32")
    shape = schema.ShapeOptionsT(outType=schema.TensorType.INT32)
    graph.op("SHAPE", [y], size, 1, shape)
    graph.op(op, [size, size], same, 1)
    graph.op("RESHAPE", [y, same], z, 1, schema.ReshapeOptionsT())
    return bytes(graph.build([x], [z]))


def test_what_computes_sizes_comes_inside_as_they_are_fixed(tiny_graph: Build) -> None:
    outside = _valued(_reading_its_own_size(tiny_graph(), "MAXIMUM")).outside
    assert [op.op for op in outside] == ["SHAPE", "MAXIMUM", "RESHAPE"]
    assert {op.rewrite for op in outside} == {"fixed_sizes"}
    assert outside[0].fix == "`portrait-tflite convert FILE.tflite` does it: fixed_sizes"


def test_a_custom_op_on_constants_is_audited(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, c = graph.tensor("x", (4,), "float32"), graph.tensor("c", (4,), "float32", data=[1] * 4)
    made, y = graph.tensor("made", (4,), "float32"), graph.tensor("y", (4,), "float32")
    graph.op("CUSTOM", [c], made)
    graph.model.operatorCodes[-1].customCode = b"edgetpu-custom-op"
    graph.op("ADD", [x, made], y, 1, schema.AddOptionsT())
    (op,) = _valued(graph.build([x], [y])).outside
    assert (op.op, op.rewrite) == ("CUSTOM:edgetpu-custom-op", "")


def test_nothing_is_tried_without_rewrites(relu_net: Build) -> None:
    outside = _valued(relu_net(), rewrites=()).outside
    assert [(op.rewrite, op.worth_mcycles) for op in outside] == [("", None)] * 2
    assert [op.partitions_saved for op in outside] == [1, 1]


def _prelu(graph: Any, op: str = "PRELU") -> bytes:
    shape = (1, 8, 8, 16)
    x, y = (graph.tensor(name, shape, "int8", 0.05) for name in "xy")
    if op == "PRELU":
        slopes = np.random.default_rng(0).integers(-100, 100, (1, 1, 16))
        graph.op(op, [x, graph.tensor("a", (1, 1, 16), "int8", 0.003, data=slopes)], y)
    else:
        graph.op(op, [x], y)
    return bytes(graph.build([x], [y]))


def _cost(kind: str) -> float:
    return CostTable.load("arm64").op_cost(CostedOp(kind, 8, 8, 16, 16), INT8) / 1e6


@pytest.mark.parametrize(
    ("op", "worth"),
    [
        ("PRELU", lambda: _cost("PRELU") - _cost("LEAKY_RELU")),
        ("HARD_SWISH", lambda: _cost("HARD_SWISH")),
    ],
)
def test_a_fix_of_the_network_is_worth_the_difference_of_the_ops(
    tiny_graph: Build, op: str, worth: Callable[[], float]
) -> None:
    (found,) = _valued(_prelu(tiny_graph(), op), rewrites=()).outside
    assert found.fix == FIXES[op]
    assert found.worth_mcycles == pytest.approx(worth())


def test_what_is_not_in_the_cost_table_has_no_worth(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 8, 8, 4), "int8", 0.05)
    y = graph.tensor("y", (1, 8, 8, 4), "int8", 0.05)
    axis = graph.tensor("axis", (1,), "int32", data=[2])
    graph.op("REVERSE_V2", [x, axis], y, 1, schema.ReverseV2OptionsT())
    (found,) = _valued(graph.build([x], [y])).outside
    assert found.op == "REVERSE_V2"
    assert found.worth_mcycles is None
    assert found.rewrite == ""


def test_a_skip_that_pictures_decide_on_is_said_so(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, dead = (
        graph.tensor("x", (1, 8, 8, 4), "int8", 0.1),
        graph.tensor("d", (1, 8, 8, 4), "int8", 1e-5),
    )
    y = graph.tensor("y", (1, 8, 8, 4), "int8", 0.1)
    graph.op("ADD", [x, dead], y, 2, schema.AddOptionsT())
    outside = _valued(graph.build([x, dead], [y])).outside
    assert [op.op for op in outside] == ["ADD"]
    assert outside[0].rewrite
    assert outside[0].worth_mcycles is not None


def test_clean_files_stay_as_they_are(float_net: Build) -> None:
    data = float_net()
    audit = audit_model(data)
    assert value_fixes(data, audit) == audit


def test_ops_are_told_by_their_position_and_rule(relu_net: Build) -> None:
    first: OutsideOp = audit_model(relu_net()).xnnpack.outside[0]
    assert (first.index, first.rule) == (1, "CheckTensorFloatType")


def test_fixes_become_what_the_fixes_speak_of() -> None:
    assert set(BECOMES) <= set(FIXES)
