package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.frame.Frame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.mask.Mask

/** The stages around a network that a benchmark times, too. */
interface FrameStages {
    /** How the frames are turned. */
    val orientation: Orientation

    /** Takes the next frame, as from a camera. */
    fun camera(): Frame

    /** Shows an effect with the network's mask of that frame. */
    fun effect(frame: Frame, mask: Mask)
}
