"""A PAD in front of an op that can pad by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.rewrites.flatbuffer.merge_pad import MergePad
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept

from .drawing import many

Build = Callable[..., Any]
WINDOW_OPS = ["CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"]
LEAST = {"int8": -128, "float32": float("-inf")}
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@dataclass(frozen=True)
class Window:
    """An unpadded op over `[1, *size]` behind a PAD, or a PADV2 where it pads with a `number`."""

    op: str = "CONV_2D"
    size: tuple[int, int, int] = (8, 8, 3)
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (2, 2)
    dilation: tuple[int, int] = (1, 1)
    dtype: str = "int8"
    zero_point: int = 0
    number: float | None = None

    @property
    def reach(self) -> tuple[int, ...]:
        """Height and width that one output sees."""
        pairs = zip(self.kernel, self.dilation, strict=True)
        return tuple((kernel - 1) * dilation + 1 for kernel, dilation in pairs)

    @property
    def same(self) -> tuple[tuple[int, int], ...]:
        """What SAME adds: (above, below), (left, right)."""
        numbers = zip(self.size[:2], self.reach, self.strides, strict=True)
        totals = (max((-(-n // s) - 1) * s + r - n, 0) for n, r, s in numbers)
        return tuple((total // 2, total - total // 2) for total in totals)

    def form(self, scale: float, zero_point: int) -> tuple[Any, int]:
        """Give scale and zero point of a tensor; none in float."""
        return (scale, zero_point) if self.dtype == "int8" else (None, 0)


def _padded(graph: Any, window: Window, pads: Any = None, keep: bool = False) -> bytes:
    *size, depth = window.size
    pads = pads or window.same
    rows, columns = (n + sum(p) for n, p in zip(size, pads, strict=True))
    numbers = zip((rows, columns), window.reach, window.strides, strict=True)
    out = [(n - reach) // stride + 1 for n, reach, stride in numbers]
    form = window.form(0.05, window.zero_point)
    x = graph.tensor("x", (1, *window.size), window.dtype, *form)
    inputs = [x, graph.tensor("p", (4, 2), "int32", data=[(0, 0), *pads, (0, 0)])]
    wide = graph.tensor("net/pad/op", (1, rows, columns, depth), window.dtype, *form)
    pool = window.op == "MAX_POOL_2D"
    target = form if pool else window.form(0.2, 5)
    y = graph.tensor("net/next/op", (1, *out, depth), window.dtype, *target)
    if window.number is not None:
        inputs.append(graph.tensor("n", (1,), window.dtype, *form, data=[window.number]))
    pad, options = (
        ("PAD", schema.PadOptionsT()) if len(inputs) < 3 else ("PADV2", schema.PadV2OptionsT())
    )
    graph.op(pad, inputs, wide, 2 if window.dtype == "int8" else 1, options)
    weights = [] if pool else _weights(graph, window)
    graph.op(window.op, [wide, *weights], y, 2 if pool else 3, _options(window))
    return bytes(graph.build([x], [y, wide] if keep else [y]))


def _options(window: Window) -> Any:
    (stride_h, stride_w), (dilation_h, dilation_w) = window.strides, window.dilation
    common = {"padding": 1, "strideW": stride_w, "strideH": stride_h}
    dilation = {"dilationWFactor": dilation_w, "dilationHFactor": dilation_h}
    if window.op == "MAX_POOL_2D":
        height, width = window.kernel
        return schema.Pool2DOptionsT(filterWidth=width, filterHeight=height, **common)
    if window.op == "CONV_2D":
        return schema.Conv2DOptionsT(**common, **dilation)
    return schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **common, **dilation)


def _weights(graph: Any, window: Window) -> list[int]:
    rng = np.random.default_rng(1)
    depth = window.size[2]
    whole = window.op == "CONV_2D"
    shape = (depth if whole else 1, *window.kernel, depth)
    if window.dtype == "float32":
        arrays = {"w": rng.normal(size=shape), "b": rng.normal(size=depth)}
        return [graph.tensor(n, a.shape, "float32", data=a) for n, a in arrays.items()]
    scales = rng.uniform(0.004, 0.01, depth)
    numbers, shifts = rng.integers(-127, 128, shape), rng.integers(-900, 900, depth)
    weights = graph.tensor("w", shape, "int8", scales, data=numbers, axis=0 if whole else 3)
    return [weights, graph.tensor("b", (depth,), "int32", scales * 0.05, data=shifts)]


@many
@given(
    op=st.sampled_from(WINDOW_OPS),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9), st.integers(1, 4)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=pairs,
    dilation=pairs,
    dtype=st.sampled_from(["int8", "float32"]),
    zero_point=st.integers(-128, 127),
    said=st.booleans(),
    shift=st.integers(0, 1),
)
def test_a_pad_is_merged_where_it_is_what_same_adds(
    tiny_graph: Build, mend_with: Build, op: str, size: Any, kernel: Any, strides: Any,
    dilation: Any, dtype: str, zero_point: int, said: bool, shift: int,
) -> None:  # fmt: skip
    pool = op == "MAX_POOL_2D"
    dilation = (1, 1) if pool or max(strides) > 1 else dilation
    zero = zero_point if dtype == "int8" else 0
    number = LEAST[dtype] if pool else zero
    point = -128 if pool and not said else zero_point
    # A float pool's own border is less than any number: a PAD's zeros are not.
    said = said or (pool and dtype == "float32")
    window = Window(op, size, kernel, strides, dilation, dtype, point, number if said else None)
    (above, below), sides = window.same
    data = _padded(tiny_graph(), window, ((above + shift, below), sides))
    result = mend_with(data, MergePad(), accept)
    assert result.done is (shift == 0), result.refusals
    assert result.steps <= (0 if dtype == "int8" else 1e-5)
    assert result.ops[-1] == op


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize(("dtype", "number"), [("int8", 4), ("float32", 1.0)])
def test_a_border_of_another_number_stays(
    tiny_graph: Build, mend_with: Build, op: str, dtype: str, number: float
) -> None:
    data = _padded(tiny_graph(), Window(op, dtype=dtype, number=number))
    assert "another number" in mend_with(data, MergePad(), accept).refusals[0]


def test_a_pool_of_numbers_below_zero_keeps_its_pad(tiny_graph: Build, mend_with: Build) -> None:
    data = _padded(tiny_graph(), Window("MAX_POOL_2D"))
    assert "another number" in mend_with(data, MergePad(), accept).refusals[0]


def test_a_pad_that_another_reads_stays(tiny_graph: Build, mend_with: Build) -> None:
    data = _padded(tiny_graph(), Window(), keep=True)
    assert "another op" in mend_with(data, MergePad(), accept).refusals[0]
