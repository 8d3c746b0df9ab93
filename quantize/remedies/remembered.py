"""A predictor that is asked about the same pictures again and again."""

from __future__ import annotations

import hashlib

from portrait_tflite.convert.network_inputs import Fed
from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.predictors import Predictor

_MOST_BYTES = 1 << 30


def remembered(predict: Predictor) -> Predictor:
    """Return a predictor that runs the network once for each picture, as far as memory goes."""
    masks: dict[bytes, Floats] = {}
    held = 0

    def look_up(inputs: Floats | Fed) -> Floats:
        nonlocal held
        key = _digest(inputs)
        if key in masks:
            return masks[key]
        mask = predict(inputs)
        if held + mask.nbytes <= _MOST_BYTES:
            masks[key] = mask.copy()
            held += mask.nbytes
        return mask

    return look_up


def _digest(inputs: Floats | Fed) -> bytes:
    picture, others = inputs if isinstance(inputs, Fed) else (inputs, {})
    whole = hashlib.blake2b(picture.tobytes(), digest_size=16)
    for name in sorted(others):
        whole.update(others[name].tobytes())
    return whole.digest()
