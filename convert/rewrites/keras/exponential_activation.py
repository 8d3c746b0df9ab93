"""ELU, SELU, softplus, log-sigmoid and mish from ops that int8 and the GPU delegate have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import activate, reconfigured
from portrait_tflite.convert.rewrites.keras.site import Form, Refusal, Site, Uses
from portrait_tflite.vocabulary import Delegate

# Klambauer et al. 2017, "Self-Normalizing Neural Networks": scale and slope of the SELU.
_SELU = (1.05070098735548049342, 1.67326324235437728482)

_HOLDERS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
)

Function = Callable[[str, Value], Value]


@dataclass(frozen=True)
class _Elu:
    """`scale · x` above 0, `scale · alpha · (exp(x) − 1)` below."""

    scale: float = 1.0
    alpha: float = 1.0

    def forms(self) -> tuple[tuple[str, Function, Delegate | None], ...]:
        # Both delegates have this op; Keras has no LeakyReLU that turns the sign.
        done = (self.scale, self.alpha) == (1, 1) or self.alpha < 0
        return () if done else (("leaky", self.from_elu, None),)

    def from_elu(self, name: str, x: Value) -> Value:
        """Compute ELU(x), what is below 0 times α, and all of it times the scale."""
        scaled = self.scale != 1
        result = activate(f"{name}_elu", x, "elu")
        layer = keras.layers.LeakyReLU(self.alpha, name=f"{name}_slope" if scaled else name)
        result = apply_op(layer.name, layer, result)
        return apply_op(name, keras.layers.Rescaling(self.scale), result) if scaled else result


class ExponentialActivation:
    """Computes activations with an exponential from ops that every delegate has.

    Given:  x → ELU(α), α ≥ 0 and not 1, or SELU → y
    Result: LEAKY_RELU(ELU(x), α) → times the scale → y               form `leaky`

    Given:  x → CELU → y
    Result: ELU(x) → y                                                form `elu`

    Given:  x → softplus → y
    Result: ReLU(x) − LOG(LOGISTIC(|x|)) → y                          form `logistic`

    Mish is x · TANH of that, log-sigmoid the same of −x with the sign turned. Of SELU and of
    another α `TFLiteConverter` makes a choice by BOOL. LOG(EXP(x) + 1), what it makes of softplus,
    has an int8 tensor of powers in which small ones are lost, and a number without dimensions,
    which the GPU delegate refuses.
    """

    name = "exponential_activation"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        forms = _forms(node)
        if not forms:
            return None
        return Site(
            layer=node.name,
            root=value,
            boundary=node.inputs,
            forms=tuple(
                Form(name, partial(_built, node, function), only=delegate)
                for name, function, delegate in forms
            ),
            reason="as it is, a delegate or int8 lacks it",
        )


def _forms(node: Node) -> tuple[tuple[str, Function, Delegate | None], ...]:
    layer = node.op
    if type(layer) is keras.layers.ELU:
        return _Elu(alpha=float(layer.alpha)).forms()
    if type(layer) not in (*_HOLDERS, keras.layers.Activation):
        return ()
    if layer.activation is keras.activations.elu:
        return _Elu().forms()
    # Its slope is 1 where it is no operation of its own.
    if layer.activation is keras.activations.celu:
        return (("elu", _elu, None),)
    if layer.activation is keras.activations.selu:
        return _Elu(*_SELU).forms()
    function = _LOGARITHMIC.get(layer.activation)
    return (("logistic", function, None),) if function else ()


def _built(node: Node, function: Function, boundary: Sequence[Value]) -> Value:
    (source,) = boundary
    if type(node.op) in _HOLDERS:
        source = reconfigured(f"{node.name}_linear", node.op, source, activation="linear")
    return function(node.name, source)


def _elu(name: str, x: Value) -> Value:
    return activate(name, x, "elu")


def _softplus(name: str, x: Value) -> Value:
    positive = activate(f"{name}_relu", x, "relu")
    return apply_op(name, keras.ops.subtract, positive, _log_of_logistic(name, x))


def _log_of_logistic(name: str, x: Value) -> Value:
    """Compute log(sigmoid(|x|)), from −0.7 to 0."""
    size = apply_op(f"{name}_size", keras.ops.absolute, x)
    share = activate(f"{name}_logistic", size, "sigmoid")
    return apply_op(f"{name}_log", keras.ops.log, share)


def _mish(name: str, x: Value) -> Value:
    gate = activate(f"{name}_tanh", _softplus(f"{name}_softplus", x), "tanh")
    return apply_op(name, keras.ops.multiply, x, gate)


def _log_sigmoid(name: str, x: Value) -> Value:
    opposite = apply_op(f"{name}_opposite", keras.ops.negative, x)
    rest = apply_op(f"{name}_rest", keras.ops.negative, activate(f"{name}_relu", opposite, "relu"))
    return _sum(name, rest, _log_of_logistic(name, x))


_LOGARITHMIC: dict[Any, Function] = {
    keras.activations.log_sigmoid: _log_sigmoid,
    keras.activations.mish: _mish,
    keras.activations.softplus: _softplus,
}


def _sum(name: str, one: Value, other: Value) -> Value:
    return apply_op(name, keras.layers.Add(name=name), [one, other])
