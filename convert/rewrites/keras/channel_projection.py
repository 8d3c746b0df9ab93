"""One number per pixel instead of many channels, computed as early as the graph allows.

What is wanted is `y · p + t`: the tensor `y` `[1, ..., c]` summed over its channels with weights
`p` `[c]`, plus a number. The rules push it through linear layers towards the input, into the
weights of the convolution that made the channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import convolution
from portrait_tflite.convert.rewrites.keras.site import Array, Build, TakeChannel, Uses


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a tensor's channels: their sum weighted with `weights` `[c]`, plus `shift`.

    Attributes:
        softmax: Whether a softmax of two classes may be laid open on the way.
    """

    weights: Array
    shift: float = 0.0
    softmax: bool = False

    @property
    def channel(self) -> int | None:
        """The channel that is wanted as it is; None where several are mixed."""
        (used,) = np.nonzero(self.weights)
        alone = len(used) == 1 and self.weights[used[0]] == 1 and self.shift == 0
        return int(used[0]) if alone else None

    @property
    def of_two(self) -> bool:
        """Whether it is one of two classes, whose softmax may become a sigmoid."""
        return self.softmax and len(self.weights) == 2 and self.channel is not None


@dataclass(frozen=True)
class Projection:
    """How to compute what is wanted.

    Attributes:
        boundary: From which tensors.
        build: Gives `[1, ..., 1]` from them.
        through: The nodes that it was pushed through, the last one first.
        sigmoid: Name of the softmax that became one, or "".
    """

    boundary: tuple[Value, ...]
    build: Build
    through: tuple[Node, ...] = ()
    sigmoid: str = ""

    def behind(self, node: Node, add: Callable[[Value], Value]) -> Projection:
        """The same with a layer added behind it, which stands for `node`."""
        return replace(
            self, build=lambda values: add(self.build(values)), through=(node, *self.through)
        )


def one_of(channel: int, count: int) -> Wanted:
    """Want a channel of `count` as it is."""
    return Wanted(np.eye(count)[channel], softmax=True)


Project = Callable[[Value, Wanted], Projection]
Rule = Callable[[Node, Wanted, Project], Projection | None]


def project(value: Value, wanted: Wanted, uses: Uses, rules: Sequence[Rule]) -> Projection:
    """Find the earliest place at which what is wanted of `value` can be computed.

    Args:
        rules: Each knows a kind of layer that it can push through.
    """

    def further(source: Value, wanted: Wanted) -> Projection:
        # Somebody else needs all channels: they are there for nothing more.
        found = None
        if uses[source] == 1:
            tried = (rule(source.node, wanted, further) for rule in rules)
            found = next((one for one in tried if one is not None), None)
        return found or Projection((source,), lambda values: _mixed(source, values[0], wanted))

    return further(value, wanted)


def _mixed(like: Value, source: Value, wanted: Wanted) -> Value:
    """Compute what is wanted of `source`, which stands for `like`, by an op of its own."""
    name = like.node.name
    if wanted.channel is not None:
        return apply_op(f"{name}_channel", TakeChannel(wanted.channel), source)
    kernel, bias = wanted.weights[:, None], np.array([wanted.shift])
    if len(source.shape) == 4:
        return convolution(
            f"{name}_mixed", source, kernel[None, None], bias if wanted.shift else None
        )
    layer = keras.layers.Dense(1, name=f"{name}_mixed")
    layer.build(source.shape)
    layer.set_weights([kernel, bias])
    return apply_op(layer.name, layer, source)
