"""Between which numbers a mask's values must lie, by the operations that it ends in."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import NotWalkableError, Value, trace
from portrait_tflite.convert.rewrites.keras.scalar_affine import scalar_affine

Interval = tuple[float, float]

UNIT: Interval = (0.0, 1.0)
_TANH: Interval = (-1.0, 1.0)
_BYTES: Interval = (0.0, 255.0)

# Operations whose values are a choice or a convex mixture of their input's.
PASSING = frozenset(
    {
        "Reshape", "Flatten", "Permute", "Transpose", "Squeeze", "ExpandDims", "GetItem",
        "Identity", "Cropping2D", "Resizing", "UpSampling2D", "Resize", "DepthToSpace",
        "MaxPooling2D", "AveragePooling2D", "Dropout", "SpatialDropout2D",
    }
)  # fmt: skip
_INTERVALS = {
    "sigmoid": UNIT,
    "hard_sigmoid": UNIT,
    "hardsigmoid": UNIT,
    "softmax": UNIT,
    "tanh": _TANH,
    "relu6": (0.0, 6.0),
}


def mask_interval(model: keras.Model, index: int) -> Interval | None:
    """Return between which numbers an output lies; None where its last operations do not tell."""
    try:
        output = trace(model, index).output
    except NotWalkableError:
        return None
    return _interval_of(output)


def is_unit(interval: Interval | None) -> bool:
    """Whether an interval is that of probabilities."""
    return interval is not None and bool(np.allclose(interval, UNIT))


def from_zero_to_one(model: keras.Model, index: int) -> keras.Model:
    """Bring an output that goes from −1 to 1 or from 0 to 255 to 0 to 1; leave others alone.

    That is done where its interval comes from, before what only moves or mixes its values and in
    place of what rescales them: there it becomes part of a sigmoid, or nothing at all.
    """
    interval = mask_interval(model, index)
    if interval is None or not any(np.allclose(interval, known) for known in (_TANH, _BYTES)):
        return model
    outputs = list(model.outputs)
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    source, behind = _source_of(outputs[index])
    known = mask_interval(keras.Model(inputs, source), 0)
    if known is None:
        source, behind, known = outputs[index], [], interval
    if not is_unit(known):
        scale = 1 / (known[1] - known[0])
        rescaling = keras.layers.Rescaling(scale, -known[0] * scale, name="mask_probability")
        source = rescaling(source)
    for layer in reversed(behind):
        source = layer(source)
    outputs[index] = source
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=model.name)


def _source_of(output: Any) -> tuple[Any, list[keras.layers.Layer]]:
    """Return the tensor that a mask is moved and rescaled from, and what moves it, last first."""
    tensor, behind = output, list[keras.layers.Layer]()
    while True:
        layer = tensor._keras_history.operation
        if not isinstance(layer, keras.layers.Layer) or len(layer._inbound_nodes) != 1:
            return tensor, behind
        # A border of zeros would be another one behind the rescaling.
        if type(layer).__name__ in PASSING and not getattr(layer, "pad_to_aspect_ratio", False):
            behind.append(layer)
        elif not _rescales_upwards(layer):
            return tensor, behind
        tensor = layer.input


def _rescales_upwards(layer: keras.layers.Layer) -> bool:
    """Whether the larger number stays the larger one: else the mask would be turned round."""
    if type(layer) is not keras.layers.Rescaling:
        return False
    return np.ndim(layer.scale) == np.ndim(layer.offset) == 0 and layer.scale > 0


def _interval_of(value: Value) -> Interval | None:
    node = value.node
    if node.op is None:
        return None
    scaled = scalar_affine(node)
    if scaled is not None:
        below = _interval_of(node.inputs[0])
        ends = [end * scaled[0] + scaled[1] for end in below] if below else []
        return (min(ends), max(ends)) if ends else None
    kind = type(node.op).__name__
    function = getattr(node.op, "activation", None)
    linear = kind == "Activation" and function is keras.activations.linear
    if (kind in PASSING or linear) and len(node.inputs) == 1:
        return _interval_of(node.inputs[0])
    if isinstance(node.op, keras.layers.ReLU) and node.op.max_value is not None:
        plain = not node.op.negative_slope and not node.op.threshold
        return (0.0, float(node.op.max_value)) if plain else None
    return _INTERVALS.get(getattr(function, "__name__", kind.lower()))
