package io.github.portrait_tflite.core.mask

import io.github.portrait_tflite.core.frame.ArgbFrame

/** Refuses a mask of another size than its frame's. */
internal fun requirePair(frame: ArgbFrame, mask: Mask) {
    require(frame.width == mask.width && frame.height == mask.height) {
        "a mask of the frame's ${frame.width} x ${frame.height} is required. Received: " +
            "${mask.width} x ${mask.height}. Restore it to the frame's size first."
    }
}
