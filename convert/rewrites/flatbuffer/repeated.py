"""A convolution's channels several times over: their biases and scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values


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
