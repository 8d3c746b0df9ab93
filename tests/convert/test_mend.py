"""Rewrites of finished files: each alone, and the byte check over them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes, op_names
from portrait_tflite.convert.mending.mend import REWRITES, mend_model
from portrait_tflite.convert.mending.mend_burden import Burden, is_dearer_file, weigh
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.relu_to_quantize import ReluToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite, Match
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Candidate, Level

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]


# RELU → QUANTIZE


def test_relus_become_quantize_and_one_partition(relu_net: Build, run_once: RunOnce) -> None:
    data = relu_net()
    result = mend_model(data)
    assert op_names(read_model(result.data)) == [
        "CONV_2D", "QUANTIZE", "CONV_2D", "QUANTIZE", "CONV_2D"
    ]  # fmt: skip
    assert open_model(data).partitions == 3
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert run_once(result.data) == run_once(data)
    assert [(r.rewrite, r.level, r.layer, r.exact) for r in result.records] == [
        ("relu_to_quantize", Level.FLATBUFFER, "relu_0", True),
        ("relu_to_quantize", Level.FLATBUFFER, "relu_1", True),
    ]
    for record in result.records:
        relu, quantize = record.candidates
        assert (relu.form, relu.outside, quantize.form, quantize.outside) == (
            "RELU", 1, "QUANTIZE", 0
        )  # fmt: skip
        assert record.chosen == "QUANTIZE"
        assert 0 < quantize.cost < relu.cost
    # what the convolution cuts off at 3.7 the QUANTIZE would not
    assert {skipped.rewrite for skipped in result.skipped} == {"fuse_requantize"}


def test_the_quantize_is_one_that_runtimes_know(relu_net: Build) -> None:
    nodes = list_nodes(read_model(mend_model(relu_net()).data))
    assert [node.version for node in nodes if node.op == "QUANTIZE"] == [2, 2]


def test_a_relu_that_xnnpack_would_refuse_as_a_quantize_goes_through_float(
    relu_net: Build,
) -> None:
    result = mend_model(relu_net(scale=10.0))
    assert {record.rewrite for record in result.records} == {"through_float"}
    assert [skipped.reason for skipped in result.skipped] == [
        "XNNPACK takes no QUANTIZE of this scale ratio"
    ] * 2
    assert open_model(result.data).outside == ()


def test_a_relu6_that_cuts_nothing_off_is_mended(relu_net: Build) -> None:
    result = mend_model(relu_net(relu="RELU6", scale=0.02))  # 255 steps reach 5.1
    assert open_model(result.data).partitions == 1


def test_a_float_relu_is_none_of_its_business(float_net: Build) -> None:
    data = float_net()
    assert mend_model(data) == (result := mend_model(data))
    assert (result.data, result.records, result.skipped) == (data, (), ())


def test_a_place_without_a_layer_is_named_by_its_tensor(tiny_graph: Build) -> None:
    graph = tiny_graph()
    shape = (1, 32, 32, 8)
    x, y = (
        graph.tensor("x", shape, "int8", 0.05, 3),
        graph.tensor("clamped", shape, "int8", 0.05, 3),
    )
    graph.op("RELU", [x], y, 2)
    (record,) = mend_model(graph.build([x], [y])).records
    assert record.layer == "clamped"


def test_what_passes_instead_of_an_op_is_no_op(tiny_graph: Build) -> None:
    graph = tiny_graph()
    shape, rows = (1, 32, 32, 8), (1, 1024, 8)
    x, y, z, end = (
        graph.tensor(name, form, "int8", 0.05, 3)
        for name, form in (("x", shape), ("flat", rows), ("back", shape), ("end", shape))
    )
    for source, target, form in ((x, y, rows), (y, z, shape)):
        graph.op("RESHAPE", [source, graph.tensor("to", (len(form),), "int32", data=form)], target)
    graph.op("RELU", [z], end, 2)
    records = mend_model(graph.build([x], [end])).records
    (cancelled,) = (record for record in records if record.rewrite == "cancel")
    kept, taken = cancelled.candidates
    assert (kept.form, taken) == ("RESHAPE", Candidate("no op", 0, 0.0))
    assert kept.cost > 0


# the byte check


class _Rounder(FlatbufferRewrite):
    """A broken rewrite: drops a clamp that is needed."""

    name = "broken"

    def match(self, model: Any, node: Node) -> Match | None:
        return Match("so it seems") if node.op == "RELU" else None

    def change(self, model: Any, node: Node, match: Match) -> None:
        built = Replacement(model, node)
        built.op(QUANTIZE, [node.given()[0].index])
        built.finish()


class _Wrecker(_Rounder):
    """A broken rewrite: leaves a file that does not load."""

    name = "wrecker"

    def change(self, model: Any, node: Node, match: Match) -> None:
        model.subgraphs[0].operators[node.index].inputs = np.array([], np.int32)


@pytest.mark.parametrize(
    ("broken", "reason"), [(_Rounder(), "not byte-equal"), (_Wrecker(), "refuses the result")]
)
def test_a_broken_rewrite_is_undone_and_reported(
    relu_net: Build, broken: FlatbufferRewrite, reason: str
) -> None:
    data = relu_net(zero_point=0)
    result = mend_model(data, rewrites=(broken, *REWRITES))
    assert broken.name not in {record.rewrite for record in result.records}
    undone = [skipped for skipped in result.skipped if skipped.rewrite == broken.name]
    assert [skipped.layer for skipped in undone] == ["relu_0", "relu_1"]
    assert all(reason in skipped.reason for skipped in undone)


def test_a_broken_rewrite_does_not_spoil_the_next(relu_net: Build) -> None:
    result = mend_model(relu_net(), rewrites=(_Wrecker(), *REWRITES))
    assert {record.rewrite for record in result.records} == {"relu_to_quantize"}
    assert open_model(result.data).partitions == 1


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_checks_on_given_images(relu_net: Build, dtype: type) -> None:
    images: list[Any] = [
        np.random.default_rng(n).integers(-2, 2, (1, 8, 8, 4)).astype(dtype) for n in (0, 1)
    ]
    assert len(mend_model(relu_net(), images).records) == 2


def test_garbage_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        mend_model(b"garbage")


# what the whole file must weigh


class _Dear(FlatbufferRewrite):
    """Brings a RELU inside, by an op that costs more than any RELU outside."""

    name = "dear"

    def match(self, model: Any, node: Node) -> Match | None:
        return Match("so it is", exact=False) if node.op == "RELU" else None

    def change(self, model: Any, node: Node, match: Match) -> None:
        built = Replacement(model, node)
        source, target = node.given()[0], node.outputs[0]
        depth = target.shape[3]
        weights = np.zeros((depth, 5, 5, depth), np.int8)
        weights[range(depth), 2, 2, range(depth)] = 127
        scales = [1 / 127] * depth
        bias = built.constant(np.zeros(depth, np.int32), [source.scale / 127] * depth)
        options = schema.Conv2DOptionsT(
            strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, fusedActivationFunction=1
        )
        inputs = [source.index, built.constant(weights, scales), bias]
        built.op(Op("CONV_2D", 3, options), inputs)
        built.finish()


def _clamps(graph: Any, *ops: str) -> bytes:
    shape = (1, 32, 32, 8)
    first = value = graph.tensor("x", shape, "int8", 0.05, 3)
    for number, op in enumerate(ops):
        target = graph.tensor(f"net/{op.lower()}_{number}/op", shape, "int8", 0.05, 3)
        graph.op(op, [value], target, 2)
        value = target
    return bytes(graph.build([first], [value]))


def test_a_file_must_not_become_dearer(tiny_graph: Build) -> None:
    data = _clamps(tiny_graph(), "RELU")
    result = mend_model(data, rewrites=(_Dear(),))
    assert result.data is data
    (skipped,) = result.skipped
    assert skipped.reason.startswith("RELU: cheaper outside")
    kept, refused = skipped.candidates
    assert (kept.form, kept.outside, refused.form, refused.outside) == ("RELU", 1, "CONV_2D", 0)
    assert 0 < kept.cost < refused.cost


@pytest.mark.parametrize(("integer", "dearer"), [(True, True), (False, False)])
def test_one_partition_is_worth_a_little_in_float_alone(integer: bool, dearer: bool) -> None:
    old, new = (Burden(0, 1, 0, 2, 0, c, 1, 1, integer=integer) for c in (1e6, 1.05e6))
    assert is_dearer_file(new, old) is dearer
    assert not is_dearer_file(old, old)


@pytest.mark.parametrize(("naive", "taken"), [(float("inf"), 1), (0.0, 0)])
def test_it_may_cost_what_it_stands_for(tiny_graph: Build, naive: float, taken: int) -> None:
    data = _clamps(tiny_graph(), "RELU")
    result = mend_model(data, rewrites=(_Dear(),), naive_cost=lambda: naive)
    assert len(result.records) == taken


def test_one_dear_place_may_be_where_the_file_gets_cheaper(tiny_graph: Build) -> None:
    data = _clamps(tiny_graph(), "RELU", "RELU6", "RELU6")
    result = mend_model(data, rewrites=(_Dear(), ReluToQuantize()))
    assert [record.rewrite for record in result.records] == ["dear", *["relu_to_quantize"] * 2]
    old, new = weigh(data), weigh(result.data)
    assert (old.outside, new.outside) == (3, 0)
    assert new.cycles < old.cycles


def test_what_xnnpack_could_not_load_stays(tiny_graph: Build) -> None:
    graph = tiny_graph()
    shape = (1, 1, 1, 2, 4, 4, 3)  # XNNPACK takes a CONCATENATION of rank 7, and fails then
    x = graph.tensor("x", shape, "float32")
    times = graph.tensor("times", (7,), "int32", data=[2, 1, 1, 1, 1, 1, 1])
    y = graph.tensor("net/tile/op", (2, *shape[1:]), "float32")
    graph.op("TILE", [x, times], y, 1)
    data = graph.build([x], [y])
    result = mend_model(data)
    assert weigh(result.data).unloadable == weigh(data).unloadable == 0
    assert result.records == ()


def test_what_xnnpack_cannot_load_is_mended(tiny_graph: Build) -> None:
    graph = tiny_graph()
    shape = (1, 8, 8, 4)
    x, y = (graph.tensor(f"net/{n}/op", shape, "int8", 0.05, 3) for n in "xy")
    skip = graph.tensor("net/skip/op", shape, "int8", 4e-41, 0)
    graph.op("LEAKY_RELU", [x], skip, 2, schema.LeakyReluOptionsT(alpha=0.1))
    graph.op("ADD", [x, skip], y, 2, schema.AddOptionsT())
    end = graph.tensor("net/end/op", shape, "int8", 1 / 256, -128)
    graph.op("LOGISTIC", [y], end, 2)
    data = graph.build([x], [end])
    with pytest.raises(UsageError, match="scale value"):
        open_model(data)
    result = mend_model(data)
    assert [record.rewrite for record in result.records] == ["identity_add"]
    assert (open_model(result.data).partitions, open_model(result.data).outside) == (1, ())


@pytest.mark.parametrize("scale", [0.0, 4e-41])
def test_what_xnnpack_would_die_of_is_not_shown_to_it(tiny_graph: Build, scale: float) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(f"net/{n}/op", (1, 8, 8, 4), "int8", 0.05, 3) for n in "xy")
    graph.op("QUANTIZE", [x], y, 2)
    graph.graph.tensors[y].quantization.scale = np.array([scale], np.float32)
    assert weigh(graph.build([x], [y])).unloadable == 1
