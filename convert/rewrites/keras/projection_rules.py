"""Through which layers of the Keras graph one number per pixel can be pushed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import (
    activate,
    is_linear,
    rebuilt,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.affine import affine_of
from portrait_tflite.convert.rewrites.keras.channel_projection import (
    Project,
    Projection,
    Rule,
    Wanted,
)
from portrait_tflite.convert.rewrites.keras.fused_activation import elementwise_activation

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
# They treat every channel alike, and a picture of one colour keeps it.
_SPATIAL = (keras.layers.UpSampling2D, keras.layers.Resizing, keras.layers.Cropping2D)


def _through_convolution(node: Node, wanted: Wanted, _: Project) -> Projection | None:
    layer = node.op
    if type(layer) not in _CONVOLUTIONS or getattr(layer, "groups", 1) != 1:
        return None
    if layer.activation is keras.activations.softmax:
        if not wanted.of_two:
            return None
        return replace(_convolved(node, _difference(wanted), "sigmoid"), sigmoid=node.name)
    # An activation acts on each channel alone: it can follow a choice, but no mixture.
    if is_linear(layer.activation):
        return _convolved(node, wanted, None)
    if wanted.channel is None:
        return None
    return _convolved(node, wanted, layer.activation)


def _convolved(node: Node, wanted: Wanted, activation: Any) -> Projection:
    kernel, bias = weights_of(node.op)
    if isinstance(node.op, keras.layers.Conv2DTranspose):
        narrow = np.einsum("hwoi,o->hwi", kernel, wanted.weights)[:, :, None, :]
    else:
        narrow = np.einsum("hwio,o->hwi", kernel, wanted.weights)[..., None]
    moved = None
    if bias is not None or wanted.shift:
        moved = np.array([wanted.shift + (0 if bias is None else bias @ wanted.weights)])
    return Projection(
        node.inputs,
        lambda values: rebuilt(node.op, node.name, values[0], narrow, moved, activation),
        (node,),
    )


def _through_softmax(node: Node, wanted: Wanted, further: Project) -> Projection | None:
    if not is_softmax(node) or not wanted.of_two:
        return None
    inner = further(node.inputs[0], _difference(wanted))
    return replace(inner, sigmoid=node.name).behind(node, _sigmoid(node.name))


def _through_affine(node: Node, wanted: Wanted, further: Project) -> Projection | None:
    affine = affine_of(node)
    if affine is None:
        return None
    shift = wanted.shift + float(affine.shift @ wanted.weights)
    found = further(node.inputs[0], Wanted(wanted.weights * affine.scale, shift))
    return replace(found, through=(node, *found.through))


def _through_spatial(node: Node, wanted: Wanted, further: Project) -> Projection | None:
    if not isinstance(node.op, _SPATIAL) or getattr(node.op, "pad_to_aspect_ratio", False):
        return None
    inner = further(node.inputs[0], wanted)
    return inner.behind(node, lambda source: apply_op(node.name, node.op, source))


def _through_padding(node: Node, wanted: Wanted, further: Project) -> Projection | None:
    # The padding is zero before the shift.
    if not isinstance(node.op, keras.layers.ZeroPadding2D) or wanted.shift:
        return None
    inner = further(node.inputs[0], wanted)
    # A bias would have to stay out of the border: zeros are put around what is complete.
    return inner.behind(node, lambda source: apply_op(node.name, node.op, source))


def _through_reshape(node: Node, wanted: Wanted, further: Project) -> Projection | None:
    after, before = node.output.shape, node.inputs[0].shape if node.inputs else ()
    if not isinstance(node.op, keras.layers.Reshape) or after[-1] != before[-1]:
        return None
    layer = keras.layers.Reshape((*after[1:-1], 1), name=node.name)
    inner = further(node.inputs[0], wanted)
    return inner.behind(node, lambda source: apply_op(node.name, layer, source))


def _through_add(node: Node, wanted: Wanted, further: Project) -> Projection | None:
    if not isinstance(node.op, keras.layers.Add):
        return None
    if len({source.shape for source in node.inputs}) > 1:
        return None
    first, *others = node.inputs
    parts = [further(first, wanted)]
    parts += [further(other, replace(wanted, shift=0.0)) for other in others]
    # Mixing each operand on its own costs more than mixing their sum.
    if not all(part.through for part in parts) or any(part.sigmoid for part in parts):
        return None
    return _added(node, parts)


def _added(node: Node, parts: Sequence[Projection]) -> Projection:
    ends = np.cumsum([len(part.boundary) for part in parts])

    def build(values: Sequence[Value]) -> Value:
        terms = [
            part.build(values[end - len(part.boundary) : end])
            for part, end in zip(parts, ends, strict=True)
        ]
        return apply_op(node.name, keras.layers.Add(name=node.name), terms)

    boundary = chain.from_iterable(part.boundary for part in parts)
    through = chain.from_iterable(part.through for part in parts)
    return Projection(tuple(boundary), build, (node, *through))


def _through_activation(node: Node, wanted: Wanted, further: Project) -> Projection | None:
    function = elementwise_activation(node)
    if function is None or wanted.channel is None:
        return None
    inner = further(node.inputs[0], wanted)
    return inner.behind(node, lambda source: activate(node.name, source, function))


def is_softmax(node: Node) -> bool:
    """Whether a node is a softmax over the channels, and nothing else."""
    if isinstance(node.op, keras.layers.Softmax):
        return node.op.axis in (-1, len(node.output.shape) - 1)
    function = getattr(node.op, "activation", None)
    return isinstance(node.op, keras.layers.Activation) and function is keras.activations.softmax


def _difference(wanted: Wanted) -> Wanted:
    """Want of two logits what the sigmoid is taken of: the chosen one less the other."""
    return Wanted(2 * wanted.weights - 1)


def _sigmoid(name: str) -> Callable[[Value], Value]:
    return lambda source: activate(name, source, "sigmoid")


RULES: tuple[Rule, ...] = (
    _through_convolution,
    _through_softmax,
    _through_affine,
    _through_spatial,
    _through_padding,
    _through_reshape,
    _through_add,
    _through_activation,
)
