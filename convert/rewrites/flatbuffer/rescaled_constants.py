"""Constants of a finished file once more, at another scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import DTYPES
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement


def same_integers(model: schema.ModelT, built: Replacement, tensor: int, ratio: float) -> int:
    """Add a constant's integers again, with all its scales times a number."""
    return _added(model, built, tensor, ratio, _integers(model, tensor))


def same_values(model: schema.ModelT, built: Replacement, tensor: int, ratio: float) -> int:
    """Add a constant again, with all its scales times a number and its integers rounded to them."""
    old = _integers(model, tensor)
    point = _zero_point(model, tensor)
    limits = np.iinfo(old.dtype)
    # In double precision: an int32 bias has more digits than a float32.
    moved = np.rint((old.astype(np.float64) - point) / ratio) + point
    return _added(
        model, built, tensor, ratio, np.clip(moved, limits.min, limits.max).astype(old.dtype)
    )


def _integers(model: schema.ModelT, tensor: int) -> NDArray[Any]:
    stored = model.subgraphs[0].tensors[tensor]
    raw = np.asarray(model.buffers[stored.buffer].data, np.uint8)
    return np.asarray(raw.view(DTYPES[stored.type]).reshape(stored.shape))


def _zero_point(model: schema.ModelT, tensor: int) -> int:
    points = model.subgraphs[0].tensors[tensor].quantization.zeroPoint
    return int(points[0]) if points is not None else 0


def _added(
    model: schema.ModelT, built: Replacement, tensor: int, ratio: float, data: NDArray[Any]
) -> int:
    record = model.subgraphs[0].tensors[tensor].quantization
    # In double precision: the product is rounded once.
    scales = np.asarray(record.scale, np.float64) * ratio
    axis = int(record.quantizedDimension)
    return built.constant(data, scales.tolist(), _zero_point(model, tensor), axis)
