"""TensorFlow functions that Keras 2 recorded as layers, in Keras 3.

Keras 2 turned `tf.nn.relu(x)` or `x * 2` between layers into a layer that names the function. The
names are looked up here, nothing of the file is run.
"""

from __future__ import annotations

import itertools
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


def _reducing(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Give a reduction TensorFlow's names for what it takes."""

    def reduce(input_tensor: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        return function(input_tensor, axis=axis, keepdims=keepdims)

    return reduce


def _pooling(function: Callable[..., Tensor], **always: Any) -> Callable[..., Tensor]:
    """Give a pooling TensorFlow's names for what it takes."""

    def pool(input: Tensor, ksize: Any, strides: Any, padding: str, **_: Any) -> Tensor:  # noqa: A002
        sizes = (_of_picture(ksize), _of_picture(strides))
        return function(input, *sizes, padding=padding.lower(), **always)

    return pool


def _of_picture(sizes: Any) -> Any:
    """Return height and width of TensorFlow's `k`, `[k, k]` or `[1, k, k, 1]`."""
    if not isinstance(sizes, Sequence):
        return sizes
    return tuple(sizes[1:3]) if len(sizes) == 4 else tuple(sizes) * (3 - len(sizes))


def _split(
    value: Tensor, num_or_size_splits: int | Sequence[int], axis: int = 0, **_: Any
) -> list[Tensor]:
    if isinstance(num_or_size_splits, int):
        return list(ops.split(value, num_or_size_splits, axis))
    # TensorFlow takes the sizes, one of which may be "the rest", Keras where one begins.
    sizes = [size if size >= 0 else None for size in num_or_size_splits]
    rest = value.shape[axis] - sum(size for size in sizes if size is not None)
    ends = itertools.accumulate(rest if size is None else size for size in sizes)
    return list(ops.split(value, list(ends)[:-1], axis))


def _matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    return ops.matmul(
        ops.swapaxes(a, -1, -2) if transpose_a else a,
        ops.swapaxes(b, -1, -2) if transpose_b else b,
    )


def _unit_length(x: Tensor, axis: Any = None, epsilon: float = 1e-12) -> Tensor:
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, epsilon))


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


def _patches(images: Tensor, sizes: Any, strides: Any, rates: Any, padding: str) -> Tensor:
    size, step, rate = (_of_picture(numbers) for numbers in (sizes, strides, rates))
    # Keras says the rate once for both directions.
    rate = rate[0] if rate[0] == rate[1] else rate
    return ops.image.extract_patches(images, size, step, rate, padding.lower())


# By the last part of TensorFlow's name; parameters are named as TensorFlow names them.
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "abs": _one(ops.abs),
    "add": lambda x, y: x + y,
    "avg_pool": _pooling(ops.average_pool),
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "clip_by_value": lambda t, clip_value_min, clip_value_max: ops.clip(
        t, clip_value_min, clip_value_max
    ),
    "concat": lambda values, axis: ops.concatenate(values, axis),
    "depth_to_space": lambda x, block_size: ops.depth_to_space(x, block_size),
    "divide": lambda x, y: x / y,
    "elu": _one(ops.elu),
    "equal": lambda x, y: ops.equal(x, y),
    "erf": _one(ops.erf),
    "exp": _one(ops.exp),
    "expand_dims": lambda x, axis: ops.expand_dims(x, axis),
    "extract_patches": _patches,
    "gelu": lambda features, approximate=False: ops.gelu(features, approximate=approximate),
    "getitem": _slice,
    "greater": lambda x, y: ops.greater(x, y),
    "greater_equal": lambda x, y: ops.greater_equal(x, y),
    "hard_sigmoid": hard_sigmoid,
    "identity": _one(lambda x: x),
    "l2_normalize": _unit_length,
    "leaky_relu": lambda features, alpha=0.2: ops.leaky_relu(features, alpha),
    "less": lambda x, y: ops.less(x, y),
    "less_equal": lambda x, y: ops.less_equal(x, y),
    "log": _one(ops.log),
    "matmul": _matmul,
    "max_pool": _pooling(ops.max_pool),
    "maximum": lambda x, y: ops.maximum(x, y),
    "minimum": lambda x, y: ops.minimum(x, y),
    "multiply": lambda x, y: x * y,
    "negative": _one(ops.negative),
    "not_equal": lambda x, y: ops.not_equal(x, y),
    "pad": _pad,
    "pow": lambda x, y: ops.power(x, y),
    "reduce_max": _reducing(ops.max),
    "reduce_mean": _reducing(ops.mean),
    "reduce_min": _reducing(ops.min),
    "reduce_sum": _reducing(ops.sum),
    "relu": _one(ops.relu),
    "relu6": _one(ops.relu6),
    "reshape": lambda tensor, shape: ops.reshape(tensor, shape),
    "resize": _resize,
    "rsqrt": _one(ops.rsqrt),
    "selu": _one(ops.selu),
    "sigmoid": _one(ops.sigmoid),
    "silu": _one(ops.silu),
    "softmax": lambda logits, axis=-1: ops.softmax(logits, -1 if axis is None else axis),
    "softplus": _one(ops.softplus),
    "space_to_depth": lambda input, block_size: ops.space_to_depth(input, block_size),  # noqa: A006
    "split": _split,
    "sqrt": _one(ops.sqrt),
    "square": _one(ops.square),
    "squeeze": lambda input, axis=None: ops.squeeze(input, axis),  # noqa: A006
    "stack": lambda values, axis=0: ops.stack(values, axis),
    "subtract": lambda x, y: x - y,
    "tanh": _one(ops.tanh),
    "tile": lambda input, multiples: ops.tile(input, multiples),  # noqa: A006
    "transpose": lambda a, perm=None, **_: ops.transpose(a, perm),  # conjugates nothing: real
    "unstack": lambda value, num=None, axis=0: ops.unstack(value, num, axis),
    "where": lambda condition, x, y: ops.where(condition, x, y),
}
ALIASES = {
    "add_v2": "add",
    "avg_pool2d": "avg_pool",
    "max": "reduce_max",
    "max_pool2d": "max_pool",
    "min": "reduce_min",
    "mul": "multiply",
    "sub": "subtract",
    "sum": "reduce_sum",
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
    "extract_image_patches": "extract_patches",
    "extract_image_patches_v2": "extract_patches",
    "neg": "negative",
    "where_v2": "where",
}


def function_named(name: str) -> str | None:
    """Return the key in `FUNCTIONS` of a TensorFlow name such as `math.multiply`, or None."""
    last = name.rsplit(".", 1)[-1]
    last = ALIASES.get(last, last)
    return last if last in FUNCTIONS else None
