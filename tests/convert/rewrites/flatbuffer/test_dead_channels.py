"""Filters of no usable scale, which keep XNNPACK from a convolution or from the whole file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.dead_channels import DeadChannels
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model

from .drawing import many

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]


def _convolution(graph: Any, op: str, scales: Any, seed: int = 0, numbers: int = 3000) -> bytes:
    rng = np.random.default_rng(seed)
    depth = len(scales)
    shape = (depth, 3, 3, depth) if op == "CONV_2D" else (1, 3, 3, depth)
    axis = 0 if op == "CONV_2D" else 3
    x = graph.tensor("x", (1, 5, 6, depth), "int8", 0.05, 3)
    weights = graph.tensor(
        "w", shape, "int8", scales, data=rng.integers(-127, 128, shape), axis=axis
    )
    biases = np.float32(scales) * np.float32(0.05)
    data = rng.integers(-numbers, numbers, depth)
    bias = graph.tensor("b", (depth,), "int32", biases, data=data)
    y = graph.tensor("net/conv/op", (1, 5, 6, depth), "int8", 0.04, -5)
    common = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    if op == "CONV_2D":
        options: Any = schema.Conv2DOptionsT(**common)
    else:
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **common)
    graph.op(op, [x, weights, bias], y, 3, options)
    return bytes(graph.build([x], [y]))


OPS = ["CONV_2D", "DEPTHWISE_CONV_2D"]
scale_lists = st.lists(
    st.sampled_from([0.0, 1e-45, 3e-39, 1e-38, 1e-9, 0.003, 0.006]), min_size=2, max_size=6
)


@many
@given(op=st.sampled_from(OPS), scales=scale_lists, seed=st.integers(0, 99))
def test_every_dead_channel_is_zeros(
    tiny_graph: Build, mend_with: Build, op: str, scales: list[float], seed: int
) -> None:
    result = mend_with(_convolution(tiny_graph(), op, scales, seed), DeadChannels(), accept)
    dead = [scale < 1e-20 for scale in scales]
    assert result.steps == 0
    assert result.done is (any(dead) and not all(dead))
    assert not all(dead) or "none of its channels" in result.refusals[0]


@pytest.mark.parametrize("op", OPS)
def test_a_convolution_comes_inside(tiny_graph: Build, run_once: RunOnce, op: str) -> None:
    data = _convolution(tiny_graph(), op, [0.004, 0.0, 1e-42, 0.005])
    result = mend_model(data)
    assert [record.rewrite for record in result.records] == ["dead_channels"]
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert run_once(result.data) == run_once(data)


def test_a_bias_that_is_heard_keeps_its_channel(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    _convolution(graph, "CONV_2D", [0.004, 0.005])
    # a bias of its own small scale, on weights that are heard
    record = graph.graph.tensors[2].quantization
    record.scale = np.array([0.0, 0.00025], np.float32)
    data = graph.build([0], [3])
    assert "is heard" in mend_with(data, DeadChannels(), accept).refusals[0]


class _Forgetful(DeadChannels):
    """Takes the first channel for dead, too."""

    def match(self, model: Any, node: Any) -> Any:
        found = super().match(model, node)
        if found is not None and not hasattr(found, "tensor"):
            found.details[1][0] = True
        return found


def test_a_living_channel_taken_for_dead_is_caught(tiny_graph: Build) -> None:
    data = _convolution(tiny_graph(), "CONV_2D", [0.004, 0.0, 0.005])
    result = mend_model(data, rewrites=(_Forgetful(),))
    assert result.data is data
    assert "not byte-equal" in result.skipped[0].reason
