"""Models of one to four ops, drawn at random over ops, attributes, dtypes, shapes and scales."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, assume, given, settings

from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from . import random_math, random_moves
from .random_net import Draw, Net, Value

_ANY_RANK = (
    random_math.unary,
    random_math.leaky,
    random_math.convert,
    random_math.pair,
    random_math.prelu,
    random_math.softmax,
    random_math.dense,
    random_math.reduction,
    random_moves.joined,
    random_moves.packed,
    random_moves.padded,
    random_moves.reshaped,
    random_moves.squeezed,
    random_moves.sliced,
    random_moves.strided,
    random_moves.split,
    random_moves.turned,
    random_moves.tiled,
)
_PICTURES = (
    random_math.convolution,
    random_math.transposed,
    random_math.pool,
    random_math.product,
    random_moves.resized,
    random_moves.blocks,
)
_SHAPES = ((1, 8, 8, 4), (1, 4, 6, 8), (1, 4, 4, 1), (2, 4, 4, 3), (3, 5), (2, 3, 4), (1, 1, 1, 8))
_DTYPES = ("float32", "float32", "int8", "int8", "int8", "uint8")


def draw_model(draw: Draw, graph: Any) -> bytes:
    """Build one to four ops in a row, two of which may be an output."""
    net = Net(graph, draw)
    value = net.source(net.one_of(*_SHAPES), net.one_of(*_DTYPES))
    values = [value]
    for _ in range(net.one_of(1, 1, 2, 3, 4)):
        value = _next_op(net, value)
        values.append(value)
    ends = {value.index}
    if len(values) > 2 and net.rarely():
        ends.add(values[1].index)
    return bytes(graph.build(net.inputs, sorted(ends)))


def _next_op(net: Net, value: Value) -> Value:
    if not value.shape:
        return random_math.unary(net, value)
    picture = len(value.shape) == 4 and value.shape[0] == 1
    op: Callable[[Net, Value], Value] = net.one_of(*_ANY_RANK, *(_PICTURES * 2 * picture))
    return op(net, value)


def loads(data: bytes) -> bool:
    """Tell whether the runtime's own kernels take a model: what none runs proves nothing."""
    try:
        open_model(data, Delegate.CPU)
    except UsageError:
        return False
    return True


@functools.cache
def collect(new_graph: type, count: int) -> tuple[bytes, ...]:
    """Draw models until `count` different ones load; the same ones every time."""
    found: dict[bytes, None] = {}

    @settings(
        max_examples=2 * count,  # many are drawn twice
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def fill(data: st.DataObject) -> None:
        model = draw_model(data.draw, new_graph())
        assume(loads(model))
        found[model] = None

    fill()
    return tuple(found)[:count]
