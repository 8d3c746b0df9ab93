package io.github.portrait_tflite.core.tensor

import io.github.portrait_tflite.core.model.ModelSpec

/**
 * The network's real input for a byte of a picture, in the float arithmetic of the calibration.
 *
 * @param byte 0-255.
 * @param colour which one in the network's order.
 */
internal fun ModelSpec.normalize(byte: Int, colour: Int): Float {
    val value = byte * ((high - low) / 255).toFloat() + low.toFloat()
    val centred = if (mean.isEmpty()) value else value - mean[colour]
    return if (std.isEmpty()) centred else centred / std[colour]
}
