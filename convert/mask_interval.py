"""Between which numbers a mask's values must lie, by the operations that it ends in."""

from __future__ import annotations

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
    """Bring an output that goes from −1 to 1 or from 0 to 255 to 0 to 1; leave others alone."""
    interval = mask_interval(model, index)
    if interval is None or not any(np.allclose(interval, known) for known in (_TANH, _BYTES)):
        return model
    low, high = interval
    scale = 1 / (high - low)
    outputs = list(model.outputs)
    rescaling = keras.layers.Rescaling(scale, -low * scale, name="mask_probability")
    outputs[index] = rescaling(outputs[index])
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=model.name)


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
