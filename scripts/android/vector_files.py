"""Files of raw numbers, beside an index that names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from portrait_tflite.tensor_values import Array


class VectorFiles:
    """Writes arrays as raw little-endian numbers; equal ones share a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[bytes, str] = {}

    def keep(self, name: str, array: Array) -> str:
        """Write an array of uint8, int8 or float32, row by row, and return its file's name."""
        little = np.ascontiguousarray(array)
        data = little.astype(little.dtype.newbyteorder("<")).tobytes()
        if data not in self._names:
            self._names[data] = f"{name}.bin"
            (self._folder / f"{name}.bin").write_bytes(data)
        return self._names[data]
