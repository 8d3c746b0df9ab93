"""Layers that only act in training."""

from __future__ import annotations

import keras
from keras.src.applications.convnext import StochasticDepth

from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.added_layers import is_linear
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single

_TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
    StochasticDepth,
)


class DropTrainingLayers:
    """Removes dropout, noise, skipped branches and identities.

    Given:  x → Dropout → y
    Result: x → y
    """

    name = "drop_training_layers"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        identity = isinstance(node.op, keras.layers.Activation) and is_linear(node.op.activation)
        if not (isinstance(node.op, _TRAINING_ONLY) or identity):
            return None
        # The network's output must stay a tensor of its own.
        if node.inputs[0].node.op is None:
            return None
        return Site(
            layer=node.name,
            root=value,
            boundary=(node.inputs[0],),
            forms=single("removed", lambda boundary: boundary[0]),
            reason="acts in training only",
        )
