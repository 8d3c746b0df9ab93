package io.github.portrait_tflite.core.tensor

import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.TensorCard
import kotlin.math.floor

// The largest float below 0.5: adding 0.5 itself would round 0.49999997 up to 1.
private const val ALMOST_HALF = 0.49999997f

/**
 * Turns a real value into a quantized tensor's stored number, rounding half away from zero as the
 * runtime does.
 */
internal fun TensorCard.toStored(value: Float): Int {
    val steps = value / scale
    val rounded = if (steps < 0) -floor(ALMOST_HALF - steps) else floor(steps + ALMOST_HALF)
    return (rounded + zeroPoint)
        .coerceIn(type.lowest.toFloat(), type.highest.toFloat())
        .toInt()
}

/** Turns a quantized tensor's byte into its real value. */
internal fun TensorCard.toReal(byte: Byte): Float {
    val stored = if (type == ElementType.UINT8) byte.toInt() and 0xff else byte.toInt()
    return (stored - zeroPoint) * scale
}
