"""Patches of a picture, and the projection behind them, as one convolution."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import (
    convolution,
    space_to_depth,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.channel_shuffle import reshapes
from portrait_tflite.convert.rewrites.keras.site import Array, Refusal, Site, Uses, single


@dataclass(frozen=True)
class _Patches:
    """What a patch is of a picture: size, strides and dilation are of rows and columns."""

    node: Node
    size: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    padding: str

    @property
    def channels(self) -> int:
        """Of the picture."""
        return int(self.node.inputs[0].shape[3])

    @property
    def tiles(self) -> bool:
        """Whether the patches lie side by side, are square and cover the picture."""
        height, width = self.node.inputs[0].shape[1:3]
        (rows, columns), whole = self.size, (height or 1, width or 1)
        even = whole[0] % rows == 0 and whole[1] % columns == 0
        return (
            rows == columns > 1 and even and self.size == self.strides and max(self.dilation) == 1
        )

    def convolved(
        self, name: str, source: Value, kernel: Array, bias: Array | None, activation: Any = None
    ) -> Value:
        """Add the convolution that multiplies each patch; `kernel` is `[patch, out]`."""
        return convolution(
            name,
            source,
            kernel.reshape(*self.size, self.channels, -1),
            bias,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            activation=activation,
        )


class MergePatches:
    """Multiplies patches where the picture is.

    Given:  x → extract_patches(k, strides) → Conv2D(n, 1×1, activation) → y
    Result: x → Conv2D(n, k×k, strides, activation) → y

    Given:  x → extract_patches(k, strides) → Reshape(patches, c) → Dense(n, activation) → y
    Result: x → Conv2D(n, k×k, strides, activation) → Reshape(patches, n) → y

    So transformers begin (ViT, SegFormer, Swin). The converter makes of the patches alone a
    convolution with as many filters as a patch has numbers, in float.
    """

    name = "merge_patches"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        if not _is_product(node):
            return None
        given = node.inputs[0]
        row = given if reshapes(given.node) else None
        source = given.node.inputs[0] if row is not None else given
        patches = _patches(source.node)
        if patches is None:
            return None
        if any(uses[one] > 1 for one in {given, source}):
            return Refusal(node.name, f"the patches of {source.node.name} are also used elsewhere")
        if given.shape[-1] != source.shape[-1]:
            return Refusal(node.name, "the reshape takes patches apart")
        kernel, bias = weights_of(node.op)

        def build(boundary: Any) -> Value:
            flat = kernel.reshape(-1, kernel.shape[-1])
            name = node.name if row is None else f"{node.name}_patches"
            made = patches.convolved(name, boundary[0], flat, bias, node.op.activation)
            if row is None:
                return made
            return apply_op(node.name, keras.layers.Reshape(value.shape[1:], name=node.name), made)

        return Site(
            layer=node.name,
            root=value,
            boundary=patches.node.inputs,
            forms=single("convolution", build),
            reason="a product with every patch is a convolution",
        )


class PatchesAsDepth:
    """Takes patches as they lie in the picture.

    Given:  x → extract_patches(k) → y    # side by side
    Result: x → SPACE_TO_DEPTH(k) → y                                     form `space_to_depth`

    Given:  x → extract_patches(k, strides) → y
    Result: x → Conv2D(k×k, strides), ones where a number is taken → y    form `convolution`

    What the converter makes of it has its ones in the file as a computation, and stays in float.
    """

    name = "patches_as_depth"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        patches = _patches(value.node)
        if patches is None:
            return None
        name, size = value.node.name, prod(patches.size) * patches.channels
        forms = single(
            "convolution",
            lambda boundary: patches.convolved(name, boundary[0], np.eye(size), None),
        )
        if patches.tiles:
            forms = single(
                "space_to_depth",
                lambda boundary: space_to_depth(name, boundary[0], patches.size[0]),
            )
        return Site(
            layer=name,
            root=value,
            boundary=value.node.inputs,
            forms=forms,
            reason=f"patches of {patches.size[0]} × {patches.size[1]} pixels",
        )


def _patches(node: Node) -> _Patches | None:
    """Read the operation behind `keras.ops.image.extract_patches`."""
    op = node.op
    # The user's own operation may have any name.
    if type(op).__name__ != "ExtractPatches" or not type(op).__module__.startswith("keras."):
        return None
    if op.data_format != "channels_last" or len(node.inputs[0].shape) != 4 or len(op.size) != 2:
        return None
    strides, dilation = (_pair(numbers) for numbers in (op.strides or op.size, op.dilation_rate))
    # TensorFlow has no convolution that both leaves out and spreads.
    if max(strides) > 1 and max(dilation) > 1:
        return None
    return _Patches(node, _pair(op.size), strides, dilation, op.padding.lower())


def _pair(numbers: Any) -> tuple[int, int]:
    rows, columns = (numbers, numbers) if isinstance(numbers, int) else numbers
    return int(rows), int(columns)


def _is_product(node: Node) -> bool:
    layer = node.op
    if type(layer) is keras.layers.Dense:
        return True
    if type(layer) is not keras.layers.Conv2D or layer.data_format != "channels_last":
        return False
    return bool(layer.kernel_size == layer.strides == (1, 1) and layer.groups == 1)
