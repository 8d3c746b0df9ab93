"""A concatenation of more than five tensors becomes several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.graph import Graph, Node, apply_op, as_arrays, evaluate, trace
from portrait_tflite.convert.rewrites.keras import wide_concatenation
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.convert.rewrites.keras.wide_concatenation import WideConcatenation

Build = Callable[..., Any]
WIDE = WideConcatenation()


def _net(channels: list[int], axis: int = -1) -> keras.Model:
    x = keras.Input((4, 4, 2))
    return keras.Model(x, layers.Concatenate(axis)([layers.Conv2D(c, 1)(x) for c in channels]))


def _groups(graph: Any) -> list[list[int]]:
    """List the channels of the inputs of every concatenation."""
    nodes = [node for node in graph.nodes() if isinstance(node.op, keras.layers.Concatenate)]
    return [[value.shape[-1] for value in node.inputs] for node in nodes]


@pytest.mark.parametrize(
    ("channels", "groups"),
    [
        ([9, 1, 2, 9, 9, 9], [[1, 2], [9, 3, 9, 9, 9]]),
        ([1, 1, 1, 9, 9, 9, 9], [[1, 1, 1], [3, 9, 9, 9, 9]]),
        ([4, 3, 2, 1, 1, 1, 1, 1, 8], [[1, 1, 1, 1, 1], [4, 3, 2, 5, 8]]),
        ([1] * 10, [[1] * 5, [1, 1], [5, 2, 1, 1, 1]]),
    ],
)
def test_the_smallest_neighbours_go_first(
    randomized: Build, rewrite_with: Build, channels: list[int], groups: list[list[int]]
) -> None:
    outcome = rewrite_with(randomized(_net(channels)), [WIDE])
    assert outcome.forms == ["grouped"]
    assert sorted(_groups(outcome.result.graph)) == sorted(groups)
    assert outcome.error == 0


def test_rows_are_grouped_too(randomized: Build, rewrite_with: Build) -> None:
    outcome = rewrite_with(randomized(_net([3] * 7, axis=1)), [WIDE])
    assert (len(_groups(outcome.result.graph)), outcome.error) == (2, 0)


def test_five_stay() -> None:
    graph = trace(_net([1] * 5))
    assert WIDE.match(graph.output, graph.uses()) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), min_size=6, max_size=14), st.sampled_from([1, 2, 3, -1]))
def test_the_order_is_kept(sizes: list[int], axis: int) -> None:
    def shape(size: int) -> tuple[int, ...]:
        shapes = [1, 2, 2, 2]
        shapes[axis] = size
        return tuple(shapes)

    sources = [Node(str(i), None, (), (), {}, (shape(n),)).output for i, n in enumerate(sizes)]
    joined = apply_op("joined", layers.Concatenate(axis), sources)
    site = WIDE.match(joined, Graph(sources[0], joined).uses())
    assert isinstance(site, Site)
    assert site.forms[0].build
    value = site.forms[0].build(site.boundary)
    assert value.shape == joined.shape
    assert all(len(group) <= 5 for group in _groups(Graph(sources[0], value)))
    rng = np.random.default_rng(len(sizes))
    known = {source: rng.normal(size=source.shape) for source in sources}
    before, after = as_arrays(evaluate([joined, value], known))
    assert np.array_equal(before, after)


def test_another_order_is_undone(
    randomized: Build, rewrite_with: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = wide_concatenation._joined
    monkeypatch.setattr(
        wide_concatenation, "_joined", lambda name, values, axis: right(name, values[::-1], axis)
    )
    outcome = rewrite_with(randomized(_net([2] * 6)), [WIDE])
    assert "verification failed" in outcome.reasons[0]
