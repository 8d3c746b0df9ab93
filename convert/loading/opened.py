"""Lay subclassed models, layers and functions open: call them on symbols, keep what they call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.loading.broadcasts import follow_batch
from portrait_tflite.convert.loading.custom_objects import FunctionLayer

_BATCH = 2  # what was fixed to one picture on the way shows in the second
_TOLERANCE = 1e-5
_OURS = ("keras.", "portrait_tflite.")


def is_composite(op: Any) -> bool:
    """Tell a user's own model, layer or function, of whose calls no graph tells."""
    if isinstance(op, keras.Model | keras.layers.Lambda | FunctionLayer):
        return True
    foreign = not type(op).__module__.startswith(_OURS)
    return isinstance(op, keras.Layer) and foreign and bool(op._layers)


def has_own_call(model: keras.Model) -> bool:
    """Tell a model that computes what its class says, whatever graph it was built with."""
    return not type(model).call.__module__.startswith("keras.")


def open_part(part: Any, tensors: Sequence[Any], fill: Callable[..., Any]) -> keras.Model | None:
    """Return what a part calls as a functional model; None where that cannot be told.

    Its `call` runs once on symbolic tensors. What it does by TensorFlow's own functions, or by the
    values of tensors, they do not take; and what comes out must compute what the part does.

    Args:
        part: A subclassed model or layer, built.
        tensors: Its symbolic inputs in this call.
        fill: From tensors in place of these to the call's positional and keyword arguments.
    """
    own = [tuple(tensor.shape) for tensor in tensors]
    found = None
    # Sizes that a part asks for as -1 are not known where the batch is not.
    for shapes in (own, [(1, *shape[1:]) for shape in own]):
        opened = _open(part, tensors, fill, shapes)
        if opened is not None and _sizes_are_known(opened):
            return opened
        found = found or opened
    return found


def _open(
    part: Any,
    tensors: Sequence[Any],
    fill: Callable[..., Any],
    shapes: Sequence[tuple[int | None, ...]],
) -> keras.Model | None:
    symbols = [
        keras.Input(batch_shape=shape, dtype=tensor.dtype)
        for shape, tensor in zip(shapes, tensors, strict=True)
    ]
    try:
        args, kwargs = fill(symbols)
        if "training" in inspect.signature(part.call).parameters:
            kwargs = {**kwargs, "training": False}
        opened = keras.Model(symbols, keras.tree.flatten(part.call(*args, **kwargs)))
        follow_batch(opened)  # what the batch of a symbol is, no call can tell
        return opened if _computes_the_same(part, opened, tensors, fill) else None
    except Exception:  # whatever the user's own class raises on what it was not written for
        return None


def _sizes_are_known(opened: keras.Model) -> bool:
    nodes = chain.from_iterable(opened._nodes_by_depth.values())
    return all(None not in tensor.shape[1:] for node in nodes for tensor in node.output_tensors)


def _computes_the_same(
    part: Any, opened: keras.Model, tensors: Sequence[Any], fill: Callable[..., Any]
) -> bool:
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(_BATCH, *t.shape[1:])).astype(np.float32) for t in tensors]
    args, kwargs = fill([keras.ops.convert_to_tensor(array) for array in noise])
    expected = keras.tree.flatten(part(*args, **{**kwargs, "training": False}))
    found = keras.tree.flatten(opened(noise, training=False))
    return len(expected) == len(found) and all(
        # `<=` and not `>`: a NaN must fail.
        float(np.abs(np.asarray(one) - np.asarray(other)).max())
        <= _TOLERANCE * max(float(np.abs(np.asarray(one)).max()), 1e-30)
        for one, other in zip(expected, found, strict=True)
    )
