package io.github.portrait_tflite.core.mask

import io.github.portrait_tflite.core.model.Activation
import io.github.portrait_tflite.core.model.TensorCard
import io.github.portrait_tflite.core.model.VariantCard
import io.github.portrait_tflite.core.model.maskSides
import io.github.portrait_tflite.core.tensor.TensorValues
import java.nio.ByteBuffer
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.tanh

/** Reads one channel of an output as a mask, at the network's own resolution. */
class MaskReader internal constructor(
    output: TensorCard,
    private val channel: Int,
    private val activation: Activation,
) {
    private val values = TensorValues.of(output)
    private val channels = checkNotNull(output.maskSides()).third
    private val mask = checkNotNull(output.maskSides()).let { Mask(it.second, it.first) }

    /** Reads the person mask of a variant. */
    constructor(card: VariantCard) :
        this(card.output, card.spec.output.channel, card.spec.output.activation)

    /**
     * Reads [output] from its beginning.
     *
     * @return the same mask each time, filled anew.
     */
    fun read(output: ByteBuffer): Mask {
        values.readFrom(output)
        for (pixel in mask.values.indices) {
            mask.values[pixel] = activated(pixel * channels)
        }
        return mask
    }

    private fun activated(start: Int): Float =
        when (activation) {
            Activation.NONE -> values[start + channel]
            // By tanh, since exp overflows on large negative logits.
            Activation.SIGMOID -> (tanh(values[start + channel] / 2) + 1) / 2
            Activation.SOFTMAX -> softmax(start)
        }

    private fun softmax(start: Int): Float {
        var largest = values[start]
        for (other in 1 until channels) largest = max(largest, values[start + other])
        var sum = 0f
        for (other in 0 until channels) sum += exp(values[start + other] - largest)
        return exp(values[start + channel] - largest) / sum
    }
}
