"""Reductions over a stack, whose fifth dimension the GPU delegate refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.softmax_of_stack import SoftmaxOfStack
from portrait_tflite.convert.rewrites.flatbuffer.stack_to_parts import StackToParts
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate, ModelSpec

from ...arm_ratio import int8_of
from .drawing import many

Build = Callable[..., Any]
PARTS, SHARES = StackToParts(), SoftmaxOfStack()
PICTURE = (1, 4, 5, 6)
_REDUCER = schema.ReducerOptionsT
_OPTIONS = {
    "ADD": schema.AddOptionsT,
    "EXP": schema.ExpOptionsT,
    "MUL": schema.MulOptionsT,
    "SUB": schema.SubOptionsT,
}


class Stacks:
    """A float file that stacks pictures and reduces the stack."""

    def __init__(self, tiny_graph: Build, count: int, axis: int, dtype: str = "float32") -> None:
        self.graph = tiny_graph()
        self.axis, self.count, self.dtype = axis, count, dtype
        self.shape = [*PICTURE]
        self.shape.insert(axis, count)
        self.inputs = [self.tensor(f"x{n}", PICTURE) for n in range(count)]

    def tensor(self, name: str, shape: Sequence[int]) -> int:
        form = (0.05, 3) if self.dtype == "int8" else (None, 0)
        name = f"net/{name}{len(self.graph.graph.tensors)}/op"
        return int(self.graph.tensor(name, tuple(shape), self.dtype, *form))

    def op(self, name: str, inputs: Sequence[int], shape: Sequence[int], options: Any) -> int:
        made = self.tensor(name.lower(), shape)
        self.graph.op(name, list(inputs), made, 2 if self.dtype == "int8" else 1, options)
        return made

    def numbers(self, values: Any) -> int:
        values = np.asarray(values, np.int32)
        return int(self.graph.tensor("numbers", values.shape, "int32", data=values))

    def reshape(self, source: int, shape: Sequence[int]) -> int:
        options = schema.ReshapeOptionsT(newShape=np.array(shape, np.int32))
        return self.op("RESHAPE", [source, self.numbers(shape)], shape, options)

    def transpose(self, source: int, shape: Sequence[int], order: Sequence[int]) -> int:
        turned = [shape[axis] for axis in order]
        options = schema.TransposeOptionsT()
        return self.op("TRANSPOSE", [source, self.numbers(order)], turned, options)

    def stack(self, *, packed: bool = True) -> int:
        if packed:
            options = schema.PackOptionsT(valuesCount=self.count, axis=self.axis)
            return self.op("PACK", self.inputs, self.shape, options)
        single = [1 if axis == self.axis else n for axis, n in enumerate(self.shape)]
        raised = [self.reshape(one, single) for one in self.inputs]
        options = schema.ConcatenationOptionsT(axis=self.axis)
        return self.op("CONCATENATION", raised, self.shape, options)

    def weights(self, how: str) -> int:
        """Add a number per part and channel, which sits in a tensor of five dimensions."""
        shape = [1 if axis not in (self.axis, 4) else n for axis, n in enumerate(self.shape)]
        if how == "constant":
            drawn = np.random.default_rng(0).normal(size=shape)
            return int(self.graph.tensor("weights", tuple(shape), "float32", data=drawn))
        if how == "shares":
            single = [n for axis, n in enumerate(shape) if axis != self.axis]
            scores = [self.tensor("score", single) for _ in range(self.count)]
            self.inputs += scores
            options = schema.PackOptionsT(valuesCount=self.count, axis=self.axis)
            return self.shares(self.op("PACK", scores, shape, options), shape)
        self.inputs.append(flat := self.tensor("weights", (1, int(np.prod(shape)))))
        return self.reshape(flat, shape)

    def shares(self, source: int, shape: Sequence[int]) -> int:
        """Take the softmax over the stack, which comes last for that."""
        order = list(range(5))
        order[self.axis], order[4] = 4, self.axis
        turned = [shape[axis] for axis in order]
        if self.axis < 4:
            source = self.transpose(source, shape, order)
        source = self.op("SOFTMAX", [source], turned, schema.SoftmaxOptionsT(beta=1.0))
        return self.transpose(source, turned, order) if self.axis < 4 else source

    def taken(self, source: int, at: int) -> bytes:
        """Take one part; `at` is counted from the end where it is negative."""
        ends = [at if axis == self.axis else 0 for axis in range(5)]
        borders = [self.numbers(numbers) for numbers in (ends, self.shape, [1] * 5)]
        mask = 0b11111 - (1 << self.axis)
        options = schema.StridedSliceOptionsT(
            beginMask=mask, endMask=mask, shrinkAxisMask=1 << self.axis
        )
        y = self.op("STRIDED_SLICE", [source, *borders], PICTURE, options)
        return bytes(self.graph.build(self.inputs, [y]))

    def unpacked(self, source: int) -> bytes:
        parts = [self.tensor("part", PICTURE) for _ in range(self.count)]
        options = schema.UnpackOptionsT(num=self.count, axis=self.axis)
        self.graph.op("UNPACK", [source], parts[0], 1, options)
        self.graph.graph.operators[-1].outputs = np.array(parts, np.int32)
        return bytes(self.graph.build(self.inputs, parts))

    def reduced(self, source: int, op: str, axes: Sequence[int], target: Sequence[int]) -> bytes:
        y = self.op(op, [source, self.numbers(axes)], target, _REDUCER())
        return bytes(self.graph.build(self.inputs, [y]))


@many
@given(
    count=st.integers(2, 7),
    axis=st.integers(0, 4),
    packed=st.booleans(),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["ADD", "MUL", "SUB", "EXP"]),
            st.sampled_from(["constant", "computed", "shares", "picture"]),
        ),
        max_size=3,
    ),
    how=st.sampled_from(["MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM", "part", "parts"]),
    from_end=st.booleans(),
)
def test_every_stack_is_reduced_part_by_part(
    tiny_graph: Build, mend_with: Build, count: int, axis: int, packed: bool, steps: Any,
    how: str, from_end: bool,
) -> None:  # fmt: skip
    net = Stacks(tiny_graph, count, axis)
    value = net.stack(packed=packed)
    for op, other in steps:
        given = [value]
        if op == "EXP":
            given = [net.op("MUL", [value, net.weights("shares")], net.shape, _OPTIONS["MUL"]())]
        elif other == "picture" and axis == 0:
            net.inputs.append(net.tensor("picture", PICTURE))
            given.append(net.inputs[-1])  # read again for every part
        else:
            given.append(net.weights("computed" if other == "picture" else other))
        value = net.op(op, given, net.shape, _OPTIONS[op]())
    if how == "part":
        data = net.taken(value, -1 if from_end else count - 2)
    elif how == "parts":
        data = net.unpacked(value)
    else:
        data = net.reduced(value, how, [axis - 5 * from_end], PICTURE)
    shared = mend_with(data, SHARES, accept)
    assert shared.steps <= 1e-5 * _largest(data)
    result = mend_with(shared.data, PARTS, accept)
    assert result.done
    assert not predict_gpu(read_model(result.data))
    assert result.steps <= 1e-5 * _largest(data)


def _largest(data: bytes) -> float:
    runner = open_model(data, Delegate.CPU)
    rng = np.random.default_rng(99)
    outputs = runner.run(*(random_input(info, rng) for info in runner.inputs))
    return float(np.abs(outputs[0]).max())


def _weighed(net: Stacks, how: str = "shares") -> bytes:
    """Weigh the pictures of a stack, and add them up."""
    product = net.op("MUL", [net.stack(), net.weights(how)], net.shape, _OPTIONS["MUL"]())
    return net.reduced(product, "SUM", [net.axis], PICTURE)


@pytest.mark.parametrize("axis", [0, 1, 4])
def test_the_gpu_takes_it(tiny_graph: Build, axis: int) -> None:
    result = mend_model(_weighed(Stacks(tiny_graph, 3, axis)))
    assert {r.rewrite for r in result.records} >= {"stack_to_parts", "softmax_of_stack"}
    assert not predict_gpu(read_model(result.data))


def test_a_softmax_over_the_stack_is_computed_once(tiny_graph: Build, mend_with: Build) -> None:
    data = mend_with(_weighed(Stacks(tiny_graph, 3, 1)), SHARES, accept).data
    ops = mend_with(data, PARTS, accept).ops
    assert (ops.count("SOFTMAX"), ops.count("MUL"), ops.count("ADD")) == (1, 3, 2)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda g: _sum(Stacks(g, 3, 1, "int8")), "XNNPACK adds integers up in one op"),
        (lambda g: _sum(Stacks(g, 3, 1), axes=[1, 2]), "it reduces pictures, too"),
        (lambda g: _sum(Stacks(g, 3, 1), axes=[2]), "it reduces rows, not the stack"),
        (lambda g: _sum(Stacks(g, 17, 1)), "too many ops would come of it"),
        (lambda g: _sum(Stacks(g, 3, 1), keep=True), "what it gives has five dimensions, too"),
        (lambda g: _sum(Stacks(g, 3, 1), turned=True), "the pictures are in another order"),
    ],
)
def test_another_sum_stays(tiny_graph: Build, mend_with: Build, build: Build, why: str) -> None:
    data = build(tiny_graph)
    assert not mend_with(data, PARTS, accept).done, why


def _sum(
    net: Stacks, *, axes: Sequence[int] = (1,), keep: bool = False, turned: bool = False
) -> bytes:
    stack = net.stack()
    if turned:  # rows and columns of every picture change places
        stack = net.transpose(stack, net.shape, (0, 1, 3, 2, 4))
        net.shape[2:4] = net.shape[3:1:-1]
    target = [n for axis, n in enumerate(net.shape) if axis not in axes]
    if keep:
        target = [1 if axis in axes else n for axis, n in enumerate(net.shape)]
    return net.reduced(stack, "SUM", list(axes), target)


def test_a_sum_of_parts_that_stand_otherwise_is_no_stack(
    tiny_graph: Build, mend_with: Build
) -> None:
    result = mend_with(_sum(Stacks(tiny_graph, 3, 1), axes=[2]), PARTS, accept)
    assert "no stack" in result.refusals[0]


@pytest.mark.parametrize("axis", [1, 4])
def test_a_tensor_that_is_read_in_five_dimensions_stays(
    tiny_graph: Build, mend_with: Build, axis: int
) -> None:
    net = Stacks(tiny_graph, 3, axis)
    net.inputs = [net.tensor("whole", (1, 4, 5, 18))]
    value = net.reshape(net.inputs[0], net.shape)
    result = mend_with(net.reduced(value, "SUM", [axis], PICTURE), PARTS, accept)
    assert "no stack" in result.refusals[0]


class _Shifted(StackToParts):
    """Takes each part's weight for the next one's."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        turned = [*match.details[1:], match.details[0]]
        of = [
            _with_weight_of(part, other) for part, other in zip(match.details, turned, strict=True)
        ]
        super().change(model, node, dataclasses.replace(match, details=of))


def _with_weight_of(part: Any, other: Any) -> Any:
    return dataclasses.replace(part, of=(part.of[0], other.of[1]))


def test_a_fault_is_caught(tiny_graph: Build) -> None:
    data = _weighed(Stacks(tiny_graph, 3, 1), "constant")
    result = mend_model(data, rewrites=(_Shifted(),))
    assert result.data is data
    assert [skipped.reason[:25] for skipped in result.skipped] == ["undone: the output moves "]


class _Mixed(SoftmaxOfStack):
    """Shares out in another order than the stack's."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        turned = dataclasses.replace(match.details, parts=match.details.parts[::-1])
        super().change(model, node, dataclasses.replace(match, details=turned))


def test_a_fault_of_the_softmax_is_caught(tiny_graph: Build) -> None:
    data = _weighed(Stacks(tiny_graph, 3, 1))
    # Alone it is dearer than what it comes from, whose price nobody knows.
    whole = mend_model(data, rewrites=(SHARES,), naive_cost=lambda: inf)
    assert whole.records, "the whole rewrite must pass"
    result = mend_model(data, rewrites=(_Mixed(),))
    assert result.data is data
    assert [skipped.reason[:7] for skipped in result.skipped] == ["undone:"]


@pytest.mark.parametrize("axis", [2, 3])
def test_a_softmax_over_rows_or_columns_stays(
    tiny_graph: Build, mend_with: Build, axis: int
) -> None:
    net = Stacks(tiny_graph, 3, 1)
    stack, net.axis = net.stack(), axis
    data = net.reduced(net.shares(stack, net.shape), "SUM", [1], PICTURE)
    result = mend_with(data, SHARES, accept)
    assert not result.done
    assert "no stack" in result.refusals[0]


def test_a_softmax_of_four_dimensions_stays(one_op: Build, mend_with: Build) -> None:
    form = (PICTURE, "float32", None, 0)
    data = one_op("SOFTMAX", form, form, version=1, options=schema.SoftmaxOptionsT(beta=1.0))
    assert not mend_with(data, SHARES, accept).done


def _selective() -> keras.Model:
    """Two branches of unlike reach, weighed per channel by what both give (SKNet)."""
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    branches = [
        layers.Conv2D(8, 3, padding="same", dilation_rate=d, activation="relu")(y) for d in (1, 2)
    ]
    stack = ops.stack(branches, axis=1)
    z = layers.Dense(4, activation="relu")(ops.mean(ops.sum(stack, axis=1), axis=(1, 2)))
    shares = ops.stack([layers.Reshape((1, 1, 8))(layers.Dense(8)(z)) for _ in branches], axis=1)
    y = ops.sum(stack * layers.Softmax(axis=1)(shares), axis=1)
    y = layers.UpSampling2D(2)(y)
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def test_int8_of_a_selective_kernel_has_no_stack(randomized: Build) -> None:
    model = randomized(_selective())
    pictures = np.random.default_rng(1).uniform(0, 1, (4, 16, 16, 3)).astype(np.float32)
    data = int8_of(model, ModelSpec(16, 16), pictures)
    audit = audit_model(data)
    assert (audit.xnnpack.partitions, audit.xnnpack.outside, audit.gpu.complete) == (1, (), True)
