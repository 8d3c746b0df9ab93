package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.frame.Frame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.model.VariantCard
import java.io.Closeable

/** The stages around a network that a benchmark times, too; for one cell, on its thread. */
interface FrameStages : Closeable {
    /** How the frames are turned. */
    val orientation: Orientation

    /** What the frames are, for the row's warnings. */
    val remark: String

    /** Takes the next frame, as from a camera. */
    fun camera(): Frame

    /** Shows an effect with the network's mask of that frame. */
    fun effect(frame: Frame, mask: Mask)
}

/** Makes the stages around a variant, whose fit and size are its own. */
fun interface FrameStagesFactory {
    /** Makes them; what it throws leaves a cell without stage times, and with a warning. */
    fun open(card: VariantCard): FrameStages
}
