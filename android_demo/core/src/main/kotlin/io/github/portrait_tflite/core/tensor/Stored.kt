package io.github.portrait_tflite.core.tensor

import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.TensorCard
import kotlin.math.floor

// Of a step. Floats put halves beside themselves: what is within 0.001 of one is one.
private const val HALF_UP = 0.501f
private const val HALF_DOWN = 0.499f

/**
 * Turns a real value into a quantized tensor's stored number, the nearest one.
 *
 * All halves go to the side of zero that has more steps, as in the conversion: so the bytes of a
 * picture stay apart where each lies amid two steps.
 */
internal fun TensorCard.toStored(value: Float): Int {
    val half = if (type.highest - zeroPoint >= zeroPoint - type.lowest) HALF_UP else HALF_DOWN
    return (floor(value / scale + half) + zeroPoint)
        .coerceIn(type.lowest.toFloat(), type.highest.toFloat())
        .toInt()
}

/** Turns a quantized tensor's byte into its real value. */
internal fun TensorCard.toReal(byte: Byte): Float {
    val stored = if (type == ElementType.UINT8) byte.toInt() and 0xff else byte.toInt()
    return (stored - zeroPoint) * scale
}
