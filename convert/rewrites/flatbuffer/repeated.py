"""A convolution's channels several times over: whether they can be, their biases and scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values

_DTYPES = ("int8", "float32")


def repetition_refusal(model: schema.ModelT, node: Node) -> str:
    """Say why a convolution's weights and bias can not be repeated, or ""."""
    source, weights, *bias = node.given()
    held = [held_values(model, operand) for operand in (weights, *bias)]
    if weights.dtype not in _DTYPES or any(values is None for values in held):
        return "its weights are no constants of float32 or int8"
    if source.dtype != weights.dtype:
        return f"its numbers are {source.dtype}, its weights are not"
    return ""


def repeated_bias(
    model: schema.ModelT, bias: Operand, times: int
) -> tuple[NDArray[Any], list[float]]:
    """Return a constant bias `[times · c]` and its scales; none in float."""
    values = held_values(model, bias)
    assert values is not None
    return np.tile(values.ravel(), times), repeated_scales(model, bias, times)


def repeated_scales(model: schema.ModelT, operand: Operand, times: int) -> list[float]:
    """Return the scales of all channels; one where they have one in common, none in float."""
    if not operand.scale:
        return []
    found = [float(s) for s in model.subgraphs[0].tensors[operand.index].quantization.scale]
    return found if len(found) == 1 else found * times
