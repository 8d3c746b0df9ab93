"""ReLU6 in the place of the smooth activations that int8 and small cores pay for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import activate, is_linear
from portrait_tflite.convert.rewrites.keras.site import Form, Refusal, Site, Uses
from portrait_tflite.vocabulary import Approximation

# What each is in a file.
_KINDS: dict[Any, tuple[str, ...]] = {
    keras.activations.hard_silu: ("HARD_SWISH",),
    keras.activations.silu: ("LOGISTIC", "MUL"),
    keras.activations.gelu: ("GELU",),
}
_TAKE_CLAMPS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
    keras.layers.Add,
)


class SmoothActivation:
    """Takes ReLU6 in the place of a smooth activation.

    Given:  x → Conv2D(activation=hard_silu, silu or gelu) → y
    Result: x → Conv2D(activation=relu6) → y                                     form `relu6`

    Also where it is a layer, a `keras.ops` operation or x · sigmoid(x). Another function, for
    `--rewrite relu6` only: nothing makes up for the difference but fine-tuning.
    """

    name = "smooth_activation"
    approximations = frozenset({Approximation.RELU6})
    exact = False

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        function = getattr(node.op, "activation", None)
        if _has_weights(node) and function in _KINDS:
            return _site(node, node.inputs[0], function, fused=True)
        function, source = _alone(node)
        if source is None:
            return None
        # A product reads it twice, itself and its sigmoid.
        once = uses[source] == (2 if len(node.inputs) > 1 else 1)
        return _site(node, source, function, fused=once and _takes_clamp(source.node))


def _site(node: Node, source: Value, function: Any, *, fused: bool) -> Site:
    """Describe a place; a convolution or an addition before it takes a ReLU6 along for nothing."""
    name = function.__name__
    clamp = () if fused else (_op("QUANTIZE", node.output),)
    kept = tuple(_op(kind, node.output) for kind in _KINDS[function])
    relu6 = Form("relu6", lambda b: _clamped(node, b), Approximation.RELU6, clamp)
    return Site(
        layer=node.name,
        root=node.output,
        boundary=(source,),
        forms=(relu6, Form(name, ops=kept)),
        reason=f"in the place of {name}",
    )


def _op(kind: str, value: Value) -> CostedOp:
    height, width, depth = (1, 1, *value.shape)[-3:]
    return CostedOp(kind, height, width, depth, depth)


def _clamped(node: Node, boundary: Sequence[Value]) -> Value:
    if not _has_weights(node):
        return activate(node.name, boundary[0], "relu6")
    layer = type(node.op).from_config({**node.op.get_config(), "activation": "relu6"})
    layer.build(boundary[0].shape)
    layer.set_weights(node.op.get_weights())
    return apply_op(node.name, layer, boundary[0])


def _has_weights(node: Node) -> bool:
    return isinstance(node.op, keras.layers.Layer) and bool(node.op.weights)


def _alone(node: Node) -> tuple[Any, Value | None]:
    """Return the function that an activation of its own is, and the tensor it is of."""
    op = node.op
    if isinstance(op, keras.layers.Activation):
        return op.activation, node.inputs[0] if op.activation in _KINDS else None
    if type(op).__name__ == "Gelu" and len(node.inputs) == 1:  # the only one without one spelling
        return keras.activations.gelu, node.inputs[0]
    if type(op).__name__ == "Multiply" and len(node.inputs) == 2:
        pairs = (node.inputs, node.inputs[::-1])
        source = next((other for one, other in pairs if _sigmoid_of(one) == other), None)
        return keras.activations.silu, source
    return None, None


def _sigmoid_of(value: Value) -> Value | None:
    """Return the tensor whose sigmoid `value` is."""
    op = value.node.op
    alone = isinstance(op, keras.layers.Activation)
    return value.node.inputs[0] if alone and op.activation is keras.activations.sigmoid else None


def _takes_clamp(node: Node) -> bool:
    return isinstance(node.op, _TAKE_CLAMPS) and is_linear(getattr(node.op, "activation", None))
