package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.MaskReader
import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.Tolerance
import io.github.portrait_tflite.core.model.VariantCard
import java.nio.ByteBuffer
import kotlin.math.abs
import kotlin.math.max

private const val STEPS = 255 // to which floats are counted

/**
 * How near a mask is to the host's.
 *
 * @property iou of the masks at 0.5; 1 where both are empty.
 * @property maxStep the most that a stored number differs by; of floats in units of 1/255.
 */
internal data class MaskDifference(val iou: Double, val maxStep: Double) {
    /** Whether a tolerance holds. */
    fun within(tolerance: Tolerance): Boolean =
        maxStep <= (tolerance.maxStep ?: Int.MAX_VALUE) && iou >= (tolerance.leastIou ?: 0.0)
}

/** Compares stored outputs of a variant. */
internal class MaskComparison(private val card: VariantCard) {
    private val ours = MaskReader(card)
    private val hosts = MaskReader(card)

    fun compare(output: ByteBuffer, golden: ByteBuffer): MaskDifference =
        MaskDifference(iou(ours.read(output), hosts.read(golden)), maxStep(output, golden))

    private fun maxStep(output: ByteBuffer, golden: ByteBuffer): Double {
        var largest = 0.0
        for (index in 0 until card.output.elements) {
            largest = max(largest, abs(number(output, index) - number(golden, index)))
        }
        return largest
    }

    private fun number(stored: ByteBuffer, index: Int): Double =
        when (card.output.type) {
            ElementType.INT8 -> stored[index].toDouble()
            ElementType.UINT8 -> (stored[index].toInt() and 0xff).toDouble()
            ElementType.FLOAT32 -> STEPS * stored.getFloat(Float.SIZE_BYTES * index).toDouble()
        }
}

/** Intersection over union of two masks at [Mask.THRESHOLD]. */
internal fun iou(one: Mask, other: Mask): Double {
    var both = 0
    var either = 0
    for (index in one.values.indices) {
        val first = one.values[index] >= Mask.THRESHOLD
        val second = other.values[index] >= Mask.THRESHOLD
        if (first && second) both++
        if (first || second) either++
    }
    return if (either == 0) 1.0 else both.toDouble() / either
}
