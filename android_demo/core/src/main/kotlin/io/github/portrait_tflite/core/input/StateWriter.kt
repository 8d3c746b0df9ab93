package io.github.portrait_tflite.core.input

import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.model.TensorCard
import io.github.portrait_tflite.core.tensor.TensorValues
import java.nio.ByteBuffer

/**
 * Writes the previous mask into an input of its own.
 *
 * @param initial what the first picture is fed with.
 */
internal class StateWriter(input: TensorCard, private val initial: Float) {
    private val resize = StateResize(width = input.shape[2], height = input.shape[1])
    private val values = TensorValues.of(input)

    /** Fills [input]; null is the beginning of a video. */
    fun write(state: Mask?, input: ByteBuffer) {
        val plane = state?.let(resize::run)
        for (index in 0 until values.elements) {
            values.put(index, if (plane == null) initial else plane[index])
        }
        values.writeTo(input)
    }
}
