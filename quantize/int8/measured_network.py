"""A float `.tflite` with its ranges as they are measured: what int8 and remedies begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from portrait_tflite.quantize.int8.centred_factors import with_centred_factors
from portrait_tflite.quantize.int8.float_divisions import with_float_divisions
from portrait_tflite.quantize.int8.pool_borders import with_pool_borders
from portrait_tflite.quantize.int8.probabilities import with_probabilities
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range, measure_ranges


def measured_network(
    data: bytes,
    frames: Iterable[Frames],
    picture: Range | None = None,
    on_images: Callable[[int], None] | None = None,
    place: int = 0,
) -> RangedNetwork:
    """Measure what each tensor of a float file holds; probabilities may be all of 0 to 1.

    What pads for a maximum pooling holds what is pooled; second factors of matrices lie about 0;
    what divides by computed numbers stays in float.

    Args:
        data: The float32 `.tflite`.
        frames: The calibration inputs: an array `[1, h, w, c]` per input each.
        picture: What the picture has steps for; None for what the pictures hold.
        on_images: Called with how many of them were seen.
        place: Which input takes the picture.
    """
    measured = RangedNetwork(data, measure_ranges(data, frames, on_images))
    network = with_centred_factors(with_pool_borders(with_probabilities(measured)))
    network = with_float_divisions(network)
    return network if picture is None else network.with_picture(picture, place)
