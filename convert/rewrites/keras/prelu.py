"""A ReLU whose negative side has a learned slope."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import activate, depthwise
from portrait_tflite.convert.rewrites.keras.site import Array, Form, Refusal, Site, Uses


class Prelu:
    """Adds up what a PReLU does to all numbers and what it does to the positive ones.

    Given:  x → PReLU(α) → y
    Result: x → DEPTHWISE_CONV_2D(α) → a; x → DEPTHWISE_CONV_2D(1 − α, RELU) → b; a + b → y

    Exact: α · x + (1 − α) · max(x, 0). XNNPACK has no int8 PRELU, and the built-in kernel of it is
    slow. With one slope for all it is a LEAKY_RELU. A slope above 1 takes the RELU before its
    convolution; slopes that differ between positions, what Keras makes without `shared_axes`, take
    multiplications.
    """

    name = "prelu"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        if type(node.op) is not keras.layers.PReLU:
            return None
        if len(value.shape) != 4:
            return Refusal(node.name, f"its tensor has rank {len(value.shape)}, not 4")
        slopes = np.asarray(node.op.alpha)
        kept = Form("prelu", ops=(_op("PRELU", value),))
        return Site(
            layer=node.name,
            root=value,
            boundary=node.inputs,
            forms=(_form(node.name, value, slopes), kept),
            reason="XNNPACK takes no PRELU in int8",
        )


def _form(name: str, value: Value, slopes: Array) -> Form:
    """Choose by the slopes `[h or 1, w or 1, c]`."""
    # A LEAKY_RELU has no negative slope.
    if np.ptp(slopes) == 0 and slopes.flat[0] >= 0:
        return _leaky(name, value, float(slopes.flat[0]))
    if slopes.shape[:2] != (1, 1):
        return _multiplied(name, value, slopes)
    return _convolved(name, value, slopes)


def _leaky(name: str, value: Value, slope: float) -> Form:
    # LEAKY_RELU with a slope of 0 leaves XNNPACK.
    layer = keras.layers.LeakyReLU(slope, name=name) if slope else keras.layers.ReLU(name=name)
    kind = "LEAKY_RELU" if slope else "QUANTIZE"
    return Form(
        "leaky_relu" if slope else "relu",
        lambda boundary: apply_op(name, layer, boundary[0]),
        ops=(_op(kind, value),),
    )


def _convolved(name: str, value: Value, slopes: Array) -> Form:
    everywhere = np.broadcast_to(slopes.reshape(1, 1, -1, 1), (1, 1, value.shape[3], 1))
    shared = bool((slopes <= 1).all())

    def build(boundary: Sequence[Value]) -> Value:
        # (1 − α) · max(x, 0) is max((1 − α) · x, 0) unless 1 − α is negative.
        source = boundary[0] if shared else activate(f"{name}_relu", boundary[0], "relu")
        positive = depthwise(
            f"{name}_positive", source, 1 - everywhere, None, activation="relu" if shared else None
        )
        all_numbers = depthwise(f"{name}_all", boundary[0], everywhere, None)
        return _sum(name, all_numbers, positive)

    scaling = _op("DEPTHWISE_CONV_2D", value)
    relu = () if shared else (_op("QUANTIZE", value),)
    return Form("two_depthwise", build, ops=(*relu, scaling, scaling, _op("ADD", value)))


def _multiplied(name: str, value: Value, slopes: Array) -> Form:
    everywhere = np.broadcast_to(slopes, value.shape).astype(np.float32)

    def build(boundary: Sequence[Value]) -> Value:
        positive = activate(f"{name}_relu", boundary[0], "relu")
        return _sum(
            name,
            _times(f"{name}_all", boundary[0], everywhere),
            _times(f"{name}_positive", positive, 1 - everywhere),
        )

    product = _op("MUL", value)
    return Form(
        "two_products", build, ops=(_op("QUANTIZE", value), product, product, _op("ADD", value))
    )


def _times(name: str, source: Value, factors: Array) -> Value:
    return apply_op(name, lambda x: x * factors, source)


def _sum(name: str, one: Value, other: Value) -> Value:
    return apply_op(name, keras.layers.Add(name=name), [one, other])


def _op(kind: str, value: Value) -> CostedOp:
    _, height, width, depth = value.shape
    return CostedOp(kind, height, width, depth, depth)
