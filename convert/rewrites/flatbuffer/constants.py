"""Numbers in the file: as they are stored, and what they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Operand
from portrait_tflite.convert.rewrites.flatbuffer.place import producer_of


def stored_values(operand: Operand) -> NDArray[Any]:
    """Read a constant in its own type, flat."""
    assert operand.data is not None
    return np.frombuffer(operand.data.tobytes(), operand.dtype)


def held_values(model: schema.ModelT, operand: Operand) -> NDArray[Any] | None:
    """Read a constant in its shape, also one that is packed as float16; None where computed."""
    if operand.data is not None:
        return stored_values(operand).reshape(operand.shape)
    producer = producer_of(model, operand.index)
    if producer is None or producer.op != "DEQUANTIZE":
        return None
    packed = producer.given()[0]
    if packed.data is None or packed.dtype != "float16":
        return None
    return stored_values(packed).astype(np.float32).reshape(packed.shape)


def real_values(operand: Operand) -> NDArray[np.float64]:
    """Read what a constant with one scale stands for, flat."""
    stored = stored_values(operand).astype(np.float64)
    return (stored - operand.zero_point) * float(operand.scale) if operand.scale else stored


def per_channel(operand: Operand, channels: int) -> NDArray[np.float64] | None:
    """Read a constant that is one number per channel, or one for all; None for another layout."""
    if operand.data is None or operand.channels > 1:
        return None
    if operand.size == 1:
        return np.full(channels, real_values(operand)[0])
    if operand.size == channels == operand.shape[-1]:
        return real_values(operand)
    return None
