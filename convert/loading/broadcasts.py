"""`broadcast_to` and `reshape` of `keras.ops`, whose shape holds the batch of the network."""

from __future__ import annotations

from typing import Any

import keras

# What each calls the shape that it was asked for, and what computes it.
_KINDS = {
    "BroadcastTo": ("shape", keras.ops.broadcast_to),
    "Reshape": ("newshape", keras.ops.reshape),
}


def follow_batch(model: keras.Model) -> None:
    """Let every broadcast and reshape of a model keep the batch of what it is given.

    `broadcast_to(x, ops.shape(y))` remembers the batch as None, or as that of the input: Keras
    itself runs it with no batch at all then, or with no other. In place; no weight changes.
    """
    for part in model._flatten_layers():
        for operation in getattr(part, "operations", ()):
            if _holds_batch(operation):
                operation.__class__ = _following(type(operation))


def _holds_batch(operation: Any) -> bool:
    kind = type(operation)
    # A layer of that name has a shape without the batch.
    layer = isinstance(operation, keras.layers.Layer)
    if layer or kind.__name__ not in _KINDS or not kind.__module__.startswith("keras."):
        return False
    shape, given = getattr(operation, _KINDS[kind.__name__][0]), operation.input.shape
    # A broadcast may put a new dimension before the batch.
    kept = kind.__name__ == "Reshape" or len(shape) == len(given)
    return kept and len(shape) > 0 and shape[0] in (None, given[0])


def _following(kind: Any) -> Any:
    """Derive from Keras's operation, which is none of its public names."""
    attribute, function = _KINDS[kind.__name__]

    def call(self: Any, x: Any) -> Any:
        return function(x, (keras.ops.shape(x)[0], *getattr(self, attribute)[1:]))

    return type(kind.__name__, (kind,), {"call": call, "__module__": kind.__module__})
