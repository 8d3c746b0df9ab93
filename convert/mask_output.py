"""Which output of a network is the person mask, and whether it is a probability."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.mask_interval import PASSING, is_unit, mask_interval
from portrait_tflite.convert.network_inputs import fill_inputs, keras_ends
from portrait_tflite.errors import UsageError
from portrait_tflite.models.synthetic import draw_inputs
from portrait_tflite.vocabulary import Activation, ModelSpec, OutputSpec

# A mask coarser than this against the input is a feature map.
COARSEST = 8

_TOLERANCE = 1e-3

_PROBABILITY = frozenset({"sigmoid", "softmax", "hard_sigmoid"})
# Operations that only bring an argmax into another shape or type, where they keep all of it.
_BEHIND_ARGMAX = frozenset(
    {"Cast", "ExpandDims", "GetItem", "Identity", "Reshape", "Slice", "Squeeze"}
)
# Operations that leave `[b, h · w, k]` in this order.
_TOKENWISE = frozenset(
    {"Reshape", "Flatten", "Activation", "Softmax", "Sigmoid", "Identity", "Dropout"}
)


def choose_mask(
    model: keras.Model, source: str, index: int | None, channel: int | None
) -> tuple[keras.Model, OutputSpec]:
    """Choose the output that is the person mask.

    Args:
        index: Which output; may be None where there is one.
        channel: Which channel of it is the person; may be None where it has one.

    Returns:
        The network with all its outputs, the chosen one brought to `[batch, h, w, k]`, and what
        was chosen; its activation is still open.

    Raises:
        UsageError: A choice is missing or impossible, or the output is no mask.
    """
    outputs = list(model.outputs)
    index = _choose_output(outputs, source, index)
    scores = _before_argmax(outputs[index])
    mask = _as_map(outputs[index] if scores is None else scores)
    _require_mask(mask, model.inputs[0], source, outputs[index])
    hard = "" if scores is None else ", of which its argmax keeps the best alone"
    channel = _choose_channel(mask.shape[-1], source, channel, hard)
    outputs[index] = mask
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    whole = keras.Model(inputs, outputs if len(outputs) > 1 else mask, name=model.name)
    return whole, OutputSpec(index, channel)


def choose_activation(
    model: keras.Model, spec: ModelSpec, source: str, wanted: Activation | None
) -> Activation:
    """Tell what must be appended to the chosen output to make it a probability.

    Where the last operation is the user's own or a SavedModel's, its values on drawn portraits
    tell whether it is one.

    Raises:
        UsageError: It is no probability and `wanted` is None, or it is one already.
    """
    mask = model.outputs[spec.output.index]
    ending, known = _last_operation(mask)
    if known is False:
        known = is_unit(mask_interval(model, spec.output.index))
    probability = known if known is not None else _stays_in_unit_range(model, spec)
    if wanted is Activation.NONE or (probability and wanted is None):
        return Activation.NONE
    if wanted is None:
        raise UsageError(
            f"the mask of {source} ends in {ending}, not in a sigmoid or softmax: --activation "
            "sigmoid or softmax is required (none if its values are probabilities)."
        )
    if known:
        raise UsageError(f"--activation {wanted}: the mask of {source} ends in {ending} already.")
    if wanted is Activation.SOFTMAX and mask.shape[-1] == 1:
        raise UsageError("--activation softmax takes two or more channels. Received: a mask of 1.")
    return wanted


def _choose_output(outputs: list[Any], source: str, index: int | None) -> int:
    if index is None and len(outputs) == 1:
        return 0
    listed = ", ".join(f"{i}: {_shape(tensor)}" for i, tensor in enumerate(outputs))
    if index is None:
        raise UsageError(
            f"{source} has {len(outputs)} outputs ({listed}); --output N must say which is the "
            "mask."
        )
    if not 0 <= index < len(outputs):
        raise UsageError(f"--output must be 0 to {len(outputs) - 1} ({listed}). Received: {index}.")
    return index


def _before_argmax(tensor: Any) -> Any | None:
    """Return what an argmax over the channels chooses from; None where the mask is no argmax.

    An app needs a soft mask, and no delegate takes ARG_MAX.
    """
    operation = tensor._keras_history.operation
    kind = type(operation).__name__
    if (kind in _BEHIND_ARGMAX and _keeps_all(tensor)) or kind == "OneHot":
        return _before_argmax(_inputs_of(tensor)[0])
    if kind == "GetItem":
        whole, cut = _before_argmax(_inputs_of(tensor)[0]), _crop(tensor)
        return None if whole is None or cut is None else whole[cut]
    # `keras.ops.argmax` is an operation of the class Argmax, without a layer.
    if kind != "Argmax" or not type(operation).__module__.startswith("keras."):
        return None
    scores = _inputs_of(tensor)[0]
    return scores if operation.axis in (-1, len(scores.shape) - 1) else None


def _keeps_all(tensor: Any) -> bool:
    """Whether a tensor has as many numbers as what it is made of, and so all of them."""
    shapes = (tensor.shape[1:], _inputs_of(tensor)[0].shape[1:])
    sizes = {None if None in shape else math.prod(shape) for shape in shapes}
    return len(sizes) == 1


def _crop(tensor: Any) -> tuple[slice, ...] | None:
    """Return what a slice leaves of rows and columns, where it cuts nothing else."""
    history = tensor._keras_history
    arguments = history.operation._inbound_nodes[history.node_index].arguments.args
    key = arguments[1] if len(arguments) > 1 else None
    if not isinstance(key, tuple) or not all(isinstance(one, slice) for one in key):
        return None
    others = (*key[:1], *key[3:])
    return key[:3] if all(one == slice(None) for one in others) else None


def _as_map(tensor: Any) -> Any:
    """Undo a flattening of `[b, h, w, k]`, and give `[b, h, w]` its channel."""
    operation = tensor._keras_history.operation
    if isinstance(operation, (keras.layers.Reshape, keras.layers.Flatten)):
        before = operation.input
        if len(tensor.shape) < len(before.shape) <= 4:
            return _as_map(before)
    if (size := _flattened_size(tensor)) is not None:
        return keras.layers.Reshape((*size, -1), name="mask_map")(tensor)
    if len(tensor.shape) == 3 and None not in tensor.shape[1:]:
        return keras.layers.Reshape((*tensor.shape[1:], 1), name="mask_channel")(tensor)
    return tensor


def _flattened_size(tensor: Any) -> tuple[int, int] | None:
    """Return h and w where a tensor is a map, flattened to `[b, h · w, k]` or `[b, h · w]`."""
    before = tensor
    while len(before.shape) < 4 and type(before._keras_history.operation).__name__ in _TOKENWISE:
        before = _inputs_of(before)[0]
    sized = len(before.shape) == 4 and None not in before.shape[1:]
    if not sized or len(tensor.shape) == 4:
        return None
    height, width, depth = before.shape[1:]
    flat = ((height * width, depth), (height * width,) if depth == 1 else None)
    return (height, width) if tuple(tensor.shape[1:]) in flat else None


def _require_mask(mask: Any, image: Any, source: str, given: Any) -> None:
    size = mask.shape[1:3]
    sized = len(mask.shape) == 4 and None not in mask.shape[1:]
    if sized and all(n * COARSEST >= m for n, m in zip(size, image.shape[1:3], strict=True)):
        return
    height, width = image.shape[1:3]
    raise UsageError(
        f"a mask [batch, h, w, k] of at least {-(-height // COARSEST)}x{-(-width // COARSEST)} is "
        f"required of a {height}x{width} input. Received: {source}, whose output is "
        f"{_shape(given)}: a classifier or backbone is no segmentation network."
    )


def _choose_channel(count: int, source: str, channel: int | None, hard: str) -> int:
    if channel is None and count == 1:
        return 0
    if channel is None:
        raise UsageError(
            f"the mask of {source} has {count} channels{hard}; --output-channel must say which is "
            f"the person (0 to {count - 1})."
        )
    if not 0 <= channel < count:
        raise UsageError(f"--output-channel must be 0 to {count - 1}. Received: {channel}.")
    return channel


def _last_operation(tensor: Any) -> tuple[str, bool | None]:
    """Walk back to the operation that sets the range of values.

    Returns:
        Its name, and whether it gives probabilities; None where that cannot be told.
    """
    history = tensor._keras_history
    operation = history.operation
    kind = type(operation).__name__
    if getattr(operation, "outputs", None):  # a nested network
        return _last_operation(operation.outputs[history.tensor_index])
    # `keras.ops.sigmoid` is an operation of the class Sigmoid, without a layer.
    activation = getattr(operation, "activation", None)
    name = getattr(activation, "__name__", kind.lower())
    if kind in PASSING or (kind == "Activation" and name == "linear"):
        return _last_operation(_inputs_of(tensor)[0])
    label = f"{operation.name} ({kind if activation is None else name})"
    if name in _PROBABILITY:
        return label, True
    foreign = kind == "Lambda" or not type(operation).__module__.startswith("keras.")
    return label, None if foreign else False


def _stays_in_unit_range(model: keras.Model, spec: ModelSpec) -> bool:
    ends = keras_ends(model.inputs)
    fed = [fill_inputs(batch, ends, spec) for batch in draw_inputs(spec)]
    outputs = [
        keras.tree.flatten(model(arrays if len(arrays) > 1 else arrays[0], training=False))
        for arrays in fed
    ]
    values = np.stack([np.asarray(output[spec.output.index]) for output in outputs])
    return bool(np.all((values >= -_TOLERANCE) & (values <= 1 + _TOLERANCE)))


def _inputs_of(tensor: Any) -> list[Any]:
    """Return the inputs of the very call that made `tensor`; a shared layer has several."""
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


def _shape(tensor: Any) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in tensor.shape) + "]"
