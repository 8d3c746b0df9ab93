package io.github.portrait_tflite.core.input

import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.resize.FloatRegion
import io.github.portrait_tflite.core.resize.FloatResize

/** Brings a previous mask to the size in which the network takes it. */
internal class StateResize(private val width: Int, private val height: Int) {
    private var resize: FloatResize? = null
    private val resized = FloatArray(width * height)

    /** Returns the resized plane, the same array each time. */
    fun run(mask: Mask): FloatArray {
        val known = resize?.takeIf { it.reads(mask.width, mask.height) }
        val used = known ?: FloatResize(mask.width, mask.height, width, height)
        resize = used
        used.run(FloatRegion(mask.values, mask.width), FloatRegion(resized, width))
        return resized
    }
}
