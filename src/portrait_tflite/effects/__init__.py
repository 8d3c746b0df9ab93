"""What is shown of a frame and its matte: mask, cutout, blur, background, color.

The Android app does the same in Kotlin and on the GPU, so every formula stands in a docstring. A
frame is RGB bytes `[h, w, 3]`, a matte `[h, w]` floats of 0–1, how much of a pixel is the person.
The order for video: `smooth` the network's mask, restore it to the frame's size, `refine_edges`,
then the effect.
"""

from portrait_tflite.effects.blending import (
    GREEN,
    add_alpha,
    apply_effect,
    blend,
    cover,
    fill_color,
    show_mask,
)
from portrait_tflite.effects.blur import BLUR_STRENGTH, blur_background
from portrait_tflite.effects.edges import edge_step, refine_edges
from portrait_tflite.effects.smoothing import smooth

__all__ = [
    "BLUR_STRENGTH",
    "GREEN",
    "add_alpha",
    "apply_effect",
    "blend",
    "blur_background",
    "cover",
    "edge_step",
    "fill_color",
    "refine_edges",
    "show_mask",
    "smooth",
]
