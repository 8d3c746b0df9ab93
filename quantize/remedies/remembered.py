"""A predictor that is asked about the same pictures again and again."""

from __future__ import annotations

import hashlib

from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.predictors import Predictor

_MOST_BYTES = 1 << 30


def remembered(predict: Predictor) -> Predictor:
    """Return a predictor that runs the network once for each picture, as far as memory goes."""
    masks: dict[bytes, Floats] = {}
    held = 0

    def look_up(inputs: Floats) -> Floats:
        nonlocal held
        key = hashlib.blake2b(inputs.tobytes(), digest_size=16).digest()
        if key in masks:
            return masks[key]
        mask = predict(inputs)
        if held + mask.nbytes <= _MOST_BYTES:
            masks[key] = mask.copy()
            held += mask.nbytes
        return mask

    return look_up
