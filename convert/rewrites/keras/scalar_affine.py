"""Products with a number and sums with one, as a layer or as an operation."""

from __future__ import annotations

import keras
import numpy as np

from portrait_tflite.convert.graph import Node
from portrait_tflite.convert.rewrites.keras.affine import affine_of


def scalar_affine(node: Node) -> tuple[float, float] | None:
    """Return `(scale, shift)` where a node is `x · scale + shift`, the same for all channels."""
    found = affine_of(node)
    if found is not None:
        scale, shift = float(found.scale[0]), float(found.shift[0])
        alike = np.allclose(found.scale, scale) and np.allclose(found.shift, shift)
        return (scale, shift) if alike else None
    if len(node.inputs) != 1 or isinstance(node.op, keras.layers.Layer):
        return None
    numbers = [item for item in node.args if isinstance(item, int | float)]
    if len(numbers) != 1:
        return None
    number, first = float(numbers[0]), isinstance(node.args[0], int | float)
    kind = type(node.op).__name__
    if kind == "Add":
        return 1.0, number
    if kind == "Subtract":
        return (-1.0, number) if first else (1.0, -number)
    if kind == "Multiply":
        return number, 0.0
    return (1 / number, 0.0) if kind == "TrueDivide" and number and not first else None


def is_affine(node: Node, scale: float, shift: float) -> bool:
    """Whether a node multiplies by `scale` and adds `shift`."""
    found = scalar_affine(node)
    return found is not None and bool(np.allclose(found, (scale, shift)))
