"""Dilated convolutions as TensorFlow spells them: to blocks, a convolution, and back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.mending.mend_judge import PlaceJudge
from portrait_tflite.convert.rewrites.flatbuffer.dilated_convolution import DilatedConvolution
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, accept
from portrait_tflite.runtime import open_model

Build = Callable[..., Any]
Pair = tuple[int, int]

FORMS = {"float32": (None, 0), "int8": (0.05, 3), "uint8": (0.05, 131)}
SAME, VALID = 0, 1
CONVOLUTIONS = {
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
}


@dataclass(frozen=True)
class Spelled:
    """A dilated convolution; `borders` are the pixels that it pads, SAME where they are None."""

    op: str = "CONV_2D"
    dtype: str = "int8"
    size: Pair = (9, 7)
    kernel: Pair = (3, 3)
    dilation: Pair = (2, 2)
    channels: Pair = (4, 5)
    borders: tuple[Pair, Pair] | None = None
    act: int = 0
    stride: int = 1
    padding: int = VALID
    crop: int = 0
    back: Pair | None = None

    @property
    def padded(self) -> tuple[Pair, ...]:
        """What is added at the beginning and end of rows and columns."""
        if self.borders is not None:
            return self.borders
        totals = [(k - 1) * d for k, d in zip(self.kernel, self.dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)

    def axes(self) -> Any:
        """Of each axis: paddings, crops, length of a block, its length behind, and the output's."""
        for n, k, d, (before, after) in zip(
            self.size, self.kernel, self.dilation, self.padded, strict=True
        ):
            rest = -(n + before + after) % d
            block = (n + before + after + rest) // d
            behind = block if self.padding == SAME else block - k + 1
            crops = (self.crop, rest)
            yield (before, after + rest), crops, block, behind, behind * d - sum(crops)


def _file(graph: Any, spelled: Spelled) -> bytes:
    dtype, (depth, filters) = spelled.dtype, spelled.channels
    depthwise = spelled.op == "DEPTHWISE_CONV_2D"
    filters = depth if depthwise else filters
    scale, point = FORMS[dtype]
    paddings, crops, blocks, behind, out = zip(*spelled.axes(), strict=True)
    batch = int(np.prod(spelled.dilation))

    def numbers(name: str, value: Any) -> int:
        return int(graph.tensor(name, np.shape(value), "int32", data=value))

    x = graph.tensor("net/x", (1, *spelled.size, depth), dtype, scale, point)
    apart = graph.tensor("apart", (batch, *blocks, depth), dtype, scale, point)
    made = graph.tensor("made", (batch, *behind, filters), dtype, scale and 0.08, point)
    back = int(np.prod(spelled.back or spelled.dilation))
    result = (batch // back or 1, *out, filters)
    y = graph.tensor("net/dilated/op", result, dtype, scale and 0.08, point)
    block = numbers("block", spelled.dilation)
    graph.op("SPACE_TO_BATCH_ND", [x, block, numbers("paddings", paddings)], apart, 2)
    rng = np.random.default_rng(sum(spelled.size))
    shape = (1, *spelled.kernel, depth) if depthwise else (filters, *spelled.kernel, depth)
    drawn = rng.normal(0, 0.3, shape) if scale is None else rng.integers(-127, 128, shape)
    w_scale = None if scale is None else 0.006
    zero = 0 if dtype != "uint8" else 127
    weights = graph.tensor("w", shape, dtype, w_scale, zero, data=drawn + zero)
    kind = "float32" if scale is None else "int32"
    bias = graph.tensor(
        "b", (filters,), kind, scale and 0.05 * 0.006, data=rng.integers(-9, 9, filters)
    )
    options = CONVOLUTIONS[spelled.op](
        padding=spelled.padding, strideH=spelled.stride, strideW=spelled.stride,
        dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=spelled.act,
    )  # fmt: skip
    if depthwise:
        options.depthMultiplier = 1
    graph.op(spelled.op, [apart, weights, bias], made, 3 if dtype == "int8" else 1, options)
    returned = numbers("back", spelled.back or spelled.dilation)
    graph.op("BATCH_TO_SPACE_ND", [made, returned, numbers("crops", crops)], y, 2)
    return bytes(graph.build([x], [y]))


border = st.tuples(st.integers(0, 4), st.integers(0, 4))


@settings(
    deadline=None,
    max_examples=300,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    op=st.sampled_from(sorted(CONVOLUTIONS)),
    dtype=st.sampled_from(sorted(FORMS)),
    size=st.tuples(st.integers(5, 14), st.integers(5, 14)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dilation=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    channels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    borders=st.one_of(st.none(), st.just(((0, 0), (0, 0))), st.tuples(border, border)),
    act=st.sampled_from([0, 1, 3]),
)
def test_every_dilation_is_one_convolution(
    tiny_graph: Build, mend_with: Build, op: str, dtype: str, size: Pair, kernel: Pair,
    dilation: Pair, channels: Pair, borders: Any, act: int,
) -> None:  # fmt: skip
    spelled = Spelled(op, dtype, size, kernel, dilation, channels, borders, act)
    if min(length for _, _, _, _, length in spelled.axes()) < 1:
        return
    result = mend_with(_file(tiny_graph(), spelled), DilatedConvolution(), accept)
    same, padded = [op] == result.ops, ["PAD", op] == result.ops
    assert same or (padded and borders is not None)
    assert result.steps <= (1e-4 if dtype == "float32" else 0)


@pytest.mark.parametrize("dtype", sorted(FORMS))
@pytest.mark.parametrize("op", sorted(CONVOLUTIONS))
@pytest.mark.parametrize("borders", [None, ((1, 2), (0, 3))])
def test_it_comes_inside_xnnpack(tiny_graph: Build, op: str, dtype: str, borders: Any) -> None:
    data = _file(tiny_graph(), Spelled(op, dtype, size=(16, 16), borders=borders))
    assert [node.op for node in open_model(data).outside] == [
        "SPACE_TO_BATCH_ND",
        "BATCH_TO_SPACE_ND",
    ]
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert "dilated_convolution" in {record.rewrite for record in result.records}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"stride": 2}, "strides, dilations or a padding"),
        ({"padding": SAME}, "strides, dilations or a padding"),
        ({"crop": 3}, "crops the picture"),
        ({"back": (4, 1)}, "other blocks"),
    ],
)
def test_what_is_no_dilation_stays(
    tiny_graph: Build, mend_with: Build, changed: Any, reason: str
) -> None:
    spelled = replace(Spelled(size=(12, 12)), **changed)
    if "stride" in changed:
        spelled = replace(spelled, kernel=(1, 1), borders=((0, 0), (0, 0)))
    result = mend_with(_file(tiny_graph(), spelled), DilatedConvolution(), accept)
    assert not result.done
    assert reason in result.refusals[0]


class _Swapped(DilatedConvolution):
    """Takes rows for columns."""

    def change(self, model: Any, node: Node, match: Match) -> None:
        options = copy.copy(match.details.options)
        rows, columns = options.dilationHFactor, options.dilationWFactor
        options.dilationHFactor, options.dilationWFactor = columns, rows
        super().change(model, node, replace(match, details=replace(match.details, options=options)))


@pytest.mark.parametrize("dtype", sorted(FORMS))
def test_a_wrong_dilation_is_caught(tiny_graph: Build, mend_with: Build, dtype: str) -> None:
    spelled = Spelled(dtype=dtype, size=(12, 12), dilation=(2, 3))
    result = mend_with(_file(tiny_graph(), spelled), _Swapped(), PlaceJudge())
    assert not result.done
    assert "the output moves by" in result.refusals[0]
