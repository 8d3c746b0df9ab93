"""Kernels that are zero but on a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import assume, given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, accept
from portrait_tflite.convert.rewrites.flatbuffer.sparse_kernel import SparseKernel

from .drawing import many

Build = Callable[..., Any]


@dataclass(frozen=True)
class Sparse:
    """One convolution of `[1, *size]` whose kernel holds something at the crossings alone."""

    size: tuple[int, int, int] = (17, 17, 16)
    kernel: tuple[int, int] = (9, 9)
    rows: tuple[int, ...] = (0, 4, 8)
    columns: tuple[int, ...] = (0, 4, 8)
    op: str = "DEPTHWISE_CONV_2D"
    dtype: str = "int8"
    padding: int = 0  # SAME
    stride: int = 1
    dilation: int = 1

    @property
    def output(self) -> list[int]:
        """Height and width of the output."""
        lost = [(k - 1) * self.dilation * self.padding for k in self.kernel]
        pairs = zip(self.size[:2], lost, strict=True)
        return [-(-(side - less) // self.stride) for side, less in pairs]

    @property
    def weights(self) -> Any:
        """The kernel `[1 or 3, h, w, c]`."""
        rng = np.random.default_rng(9)
        shape = (1 if self.op == "DEPTHWISE_CONV_2D" else 3, *self.kernel, self.size[2])
        drawn = rng.integers(1, 128, shape) * rng.choice([-1, 1], shape)
        kept = np.zeros(self.kernel, bool)
        kept[np.ix_(self.rows, self.columns)] = True
        return np.where(kept[None, :, :, None], drawn, 0)


def _file(graph: Any, net: Sparse) -> bytes:
    integer, depthwise = net.dtype == "int8", net.op == "DEPTHWISE_CONV_2D"
    form = (0.05, 3) if integer else (None, 0)
    x = graph.tensor("x", (1, *net.size), net.dtype, *form)
    filters = net.size[2] if depthwise else 3
    form = (0.4, -7) if integer else (None, 0)
    y = graph.tensor("net/conv/op", (1, *net.output, filters), net.dtype, *form)
    scales = np.linspace(0.004, 0.01, filters)
    shape = net.weights.shape
    if integer:
        axis = 3 if depthwise else 0
        weights = graph.tensor("w", shape, "int8", scales, data=net.weights, axis=axis)
        drawn = np.arange(filters) * 50 - 20
        bias = graph.tensor("b", (filters,), "int32", scales * 0.05, data=drawn)
    else:
        weights = graph.tensor("w", shape, "float32", data=net.weights / 100)
        bias = graph.tensor("b", (filters,), "float32", data=np.arange(filters) / 8)
    steps = {
        "padding": net.padding,
        "strideH": net.stride,
        "strideW": net.stride,
        "dilationHFactor": net.dilation,
        "dilationWFactor": net.dilation,
    }
    options = (
        schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **steps)
        if depthwise
        else schema.Conv2DOptionsT(**steps)
    )
    graph.op(net.op, [x, weights, bias], y, 3, options)
    return bytes(graph.build([x], [y]))


places = st.integers(1, 9).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.lists(st.integers(0, size - 1), min_size=1, max_size=3, unique=True).map(sorted),
    )
)


@many
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4)),
    rows=places,
    columns=places,
    op=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D"]),
    dtype=st.sampled_from(["int8", "float32"]),
    padding=st.sampled_from([0, 1]),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
)
def test_every_kernel_keeps_what_it_holds(
    tiny_graph: Build, mend_with: Build, size: Any, rows: Any, columns: Any, op: str, dtype: str,
    padding: int, stride: int, dilation: int,
) -> None:  # fmt: skip
    kernel = rows[0], columns[0]
    held = tuple(rows[1]), tuple(columns[1])
    net = Sparse(size, kernel, *held, op, dtype, padding, stride, dilation)
    assume(min(net.output) > 0)
    result = mend_with(_file(tiny_graph(), net), SparseKernel(), accept)
    assert result.ops == [op]
    assert result.steps <= (0 if dtype == "int8" else 1e-4)
    if padding == 0 and stride == 1 and all(_even(*axis) for axis in (rows, columns)):
        assert result.done is (kernel != tuple(map(len, held)))


def _even(size: int, held: list[int]) -> bool:
    """Whether a kernel holds something in the middle, or on a grid about it."""
    apart = {second - first for first, second in pairwise(held)}
    return len(apart) < 2 and held[0] == size - 1 - held[-1]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_a_spelt_out_dilation_is_one_again(tiny_graph: Build, op: str, dtype: str) -> None:
    found = mend_model(_file(tiny_graph(), Sparse(op=op, dtype=dtype)))
    assert [(r.rewrite, r.layer, r.exact) for r in found.records] == [
        ("sparse_kernel", "conv", True)
    ]
    (node,) = list_nodes(read_model(found.data))
    assert node.given()[1].shape[1:3] == (3, 3)
    assert (node.option("dilationHFactor"), node.option("dilationWFactor")) == (4, 4)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Sparse(rows=(0, 1, 4), columns=tuple(range(9))), "no grid"),
        (Sparse(rows=(3, 4, 5), columns=tuple(range(9)), padding=1), "padding needs them"),
        (Sparse(rows=(0, 1), columns=tuple(range(9))), "padding needs them"),
    ],
)
def test_what_is_on_no_grid_stays(
    tiny_graph: Build, mend_with: Build, net: Sparse, reason: str
) -> None:
    result = mend_with(_file(tiny_graph(), net), SparseKernel(), accept)
    assert not result.done
    assert reason in result.refusals[0]


@pytest.mark.parametrize(
    "net", [Sparse(rows=tuple(range(9)), columns=tuple(range(9))), Sparse(rows=(), columns=())]
)
def test_full_and_empty_kernels_are_none_of_its_concern(
    tiny_graph: Build, mend_with: Build, net: Sparse
) -> None:
    result = mend_with(_file(tiny_graph(), net), SparseKernel(), accept)
    assert (result.done, result.refusals) == (False, [])


class _Wrong(SparseKernel):
    """Takes other rows of the kernel."""

    def __init__(self, **changes: int) -> None:
        self._changes = changes

    def match(self, model: Any, node: Any) -> Any:
        found = super().match(model, node)
        if not isinstance(found, Match):
            return found
        rows, columns, kernel = found.details
        return replace(found, details=(replace(rows, **self._changes), columns, kernel))


@pytest.mark.parametrize("changes", [{"step": 3}, {"first": 1, "count": 2}])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_fault_is_caught(tiny_graph: Build, dtype: str, changes: dict[str, int]) -> None:
    data = _file(tiny_graph(), Sparse(dtype=dtype))
    assert mend_model(data, rewrites=(_Wrong(),)).records
    found = mend_model(data, rewrites=(_Wrong(**changes),))
    assert found.records == ()
    assert found.skipped[0].reason.startswith("undone:")
