"""TensorFlow functions that Keras 2 recorded as layers, in Keras 3.

Keras 2 turned `tf.nn.relu(x)` or `x * 2` between layers into a layer that names the function. The
names are looked up here, nothing of the file is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

Tensor = Any


class TensorFlowFunction(keras.layers.Layer):
    """Calls one of `FUNCTIONS` on its input tensors and constants.

    Args:
        function: Key in `FUNCTIONS` behind `tf.`.
        args: Positional arguments; `{"tensor": i}` stands for the i-th input tensor, in lists too.
        kwargs: Keyword arguments, likewise.
    """

    def __init__(
        self, function: str, args: list[Any], kwargs: dict[str, Any], **options: Any
    ) -> None:
        super().__init__(**options)
        self.function, self.args, self.kwargs = function, args, kwargs

    def call(self, inputs: Any) -> Tensor:
        tensors = keras.tree.flatten(inputs)
        args, kwargs = _filled(self.args, tensors), _filled(self.kwargs, tensors)
        return FUNCTIONS[self.function.removeprefix("tf.")](*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return {**config, "function": self.function, "args": self.args, "kwargs": self.kwargs}


def _filled(tree: Any, tensors: Sequence[Tensor]) -> Any:
    if isinstance(tree, dict):
        if set(tree) == {"tensor"}:
            return tensors[tree["tensor"]]
        return {name: _filled(value, tensors) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_filled(value, tensors) for value in tree]
    return tree


def hard_sigmoid(x: Tensor) -> Tensor:
    """Keras 2's: of slope 0.2, where Keras 3 has 1/6."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _mean(input_tensor: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.mean(input_tensor, axis=axis, keepdims=keepdims)


def _resize(images: Tensor, size: Sequence[int], method: str = "bilinear", **same: Any) -> Tensor:
    given = {name: value for name, value in same.items() if value}
    if given:
        raise ValueError(f"resize with {', '.join(given)} is another function in Keras 3")
    return ops.image.resize(images, tuple(size), interpolation=method)


def _pad(tensor: Tensor, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Tensor:
    fill = {"constant_values": constant_values} if mode.upper() == "CONSTANT" else {}
    return ops.pad(tensor, paddings, mode=mode.lower(), **fill)


def _slice(tensor: Tensor, slice_spec: Sequence[Any]) -> Tensor:
    return tensor[tuple(_index(part) for part in slice_spec)]


def _index(part: Any) -> Any:
    if isinstance(part, dict):
        return slice(part.get("start"), part.get("stop"), part.get("step"))
    return Ellipsis if part in ("...", "Ellipsis") else part


def _one(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a function of one tensor take it under any of TensorFlow's names."""
    return lambda first: function(first)


# By the last part of TensorFlow's name; parameters are named as TensorFlow names them.
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "abs": _one(ops.abs),
    "add": lambda x, y: x + y,
    "clip_by_value": lambda t, clip_value_min, clip_value_max: ops.clip(
        t, clip_value_min, clip_value_max
    ),
    "concat": lambda values, axis: ops.concatenate(values, axis),
    "depth_to_space": lambda x, block_size: ops.depth_to_space(x, block_size),
    "divide": lambda x, y: x / y,
    "elu": _one(ops.elu),
    "exp": _one(ops.exp),
    "expand_dims": lambda x, axis: ops.expand_dims(x, axis),
    "gelu": lambda features, approximate=False: ops.gelu(features, approximate=approximate),
    "getitem": _slice,
    "hard_sigmoid": hard_sigmoid,
    "identity": _one(lambda x: x),
    "leaky_relu": lambda features, alpha=0.2: ops.leaky_relu(features, alpha),
    "maximum": lambda x, y: ops.maximum(x, y),
    "minimum": lambda x, y: ops.minimum(x, y),
    "multiply": lambda x, y: x * y,
    "negative": _one(ops.negative),
    "pad": _pad,
    "pow": lambda x, y: ops.power(x, y),
    "reduce_mean": _mean,
    "relu": _one(ops.relu),
    "relu6": _one(ops.relu6),
    "reshape": lambda tensor, shape: ops.reshape(tensor, shape),
    "resize": _resize,
    "rsqrt": _one(ops.rsqrt),
    "sigmoid": _one(ops.sigmoid),
    "silu": _one(ops.silu),
    "softmax": lambda logits, axis=-1: ops.softmax(logits, -1 if axis is None else axis),
    "softplus": _one(ops.softplus),
    "sqrt": _one(ops.sqrt),
    "square": _one(ops.square),
    "squeeze": lambda input, axis=None: ops.squeeze(input, axis),  # noqa: A006
    "subtract": lambda x, y: x - y,
    "tanh": _one(ops.tanh),
    "transpose": lambda a, perm: ops.transpose(a, perm),
}
ALIASES = {
    "add_v2": "add",
    "mul": "multiply",
    "sub": "subtract",
    "truediv": "divide",
    "div": "divide",
    "swish": "silu",
    "resize_v2": "resize",
    "resize_images": "resize",
    "pad_v2": "pad",
    "reshape_v2": "reshape",
    "softmax_v2": "softmax",
    "concat_v2": "concat",
    "mean": "reduce_mean",
    "transpose_v2": "transpose",
    "squeeze_v2": "squeeze",
    "expand_dims_v2": "expand_dims",
    "neg": "negative",
}


def function_named(name: str) -> str | None:
    """Return the key in `FUNCTIONS` of a TensorFlow name such as `math.multiply`, or None."""
    last = name.rsplit(".", 1)[-1]
    last = ALIASES.get(last, last)
    return last if last in FUNCTIONS else None
