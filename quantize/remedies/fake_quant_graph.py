"""A Keras graph with int8 played where the finished file will have it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Graph, Node, Value, apply_op, evaluate, replaced
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.quantize.remedies.fake_quantization import (
    FakeQuantized,
    fake_quantize,
    has_kernel,
)

# What becomes part of the op before it, so that no tensor lies between.
_FUSED = (keras.layers.BatchNormalization, keras.layers.ReLU)
_FUSED_ACTIVATIONS = ("relu", "relu6")


def measured_places(graph: Graph, batches: Iterable[Floats]) -> dict[tuple[str, int], Range]:
    """Measure the tensors that int8 rounds: all but those within a fused op.

    Args:
        graph: In float.
        batches: Calibration pictures `[n, h, w, c]`.

    Returns:
        Ranges by the name of the node and the number of its output.
    """
    places = [Value(node, index) for node in graph.nodes() for index in range(len(node.shapes))]
    places = [place for place in places if not _inside_op(graph, place)]
    ranges: dict[tuple[str, int], Range] = {}
    for batch in batches:
        for place, tensor in zip(places, evaluate(places, graph.feed(batch)), strict=True):
            values = np.asarray(keras.ops.convert_to_numpy(tensor))
            found = Range(float(values.min()), float(values.max()))
            key = place.node.name, place.index
            ranges[key] = ranges.get(key, found).joined(found)
    return ranges


def with_fake_quantization(graph: Graph, ranges: Mapping[tuple[str, int], Range]) -> Graph:
    """Play int8: kernels per channel, the tensors of `ranges` over these.

    Args:
        graph: Its layers are called, not copied: to train the result is to train them.
        ranges: Of `measured_places`.
    """
    nodes: dict[Node, Node] = {}

    def play(old: Value, kept: Value, _: dict[Value, Value]) -> Value:
        if old.node not in nodes:
            op = FakeQuantized(old.node.op) if has_kernel(old.node.op) else kept.node.op
            nodes[old.node] = dataclasses.replace(kept.node, op=op)
        value = Value(nodes[old.node], old.index) if old.node.op is not None else kept
        held = ranges.get((old.node.name, old.index))
        if held is None:
            return value
        # By name too: runs of other ranges must not be taken for one another.
        name = f"{old.node.name}_int8_{held.low:.6g}_{held.high:.6g}"
        return apply_op(name, partial(fake_quantize, held=held), value)

    return replaced(graph, play)


def _inside_op(graph: Graph, place: Value) -> bool:
    if place in graph.outputs:
        return False
    readers = [node for node in graph.nodes() if place in node.inputs]
    return len(readers) == 1 and _is_fused(readers[0].op) and place.node.op is not None


def _is_fused(op: Any) -> bool:
    if isinstance(op, keras.layers.Activation):
        return getattr(op.activation, "__name__", "") in _FUSED_ACTIVATIONS
    return isinstance(op, _FUSED)
