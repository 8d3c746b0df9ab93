package io.github.portrait_tflite.core.input

import io.github.portrait_tflite.core.frame.Placement
import io.github.portrait_tflite.core.model.Channels
import io.github.portrait_tflite.core.model.VariantCard
import io.github.portrait_tflite.core.resize.RowSink
import io.github.portrait_tflite.core.tensor.ByteValues
import io.github.portrait_tflite.core.tensor.FloatValues
import io.github.portrait_tflite.core.tensor.TensorValues
import io.github.portrait_tflite.core.tensor.normalize
import io.github.portrait_tflite.core.tensor.toStored
import java.nio.ByteBuffer

/**
 * The picture's input: colour order and a look-up table per colour, into which range, mean, std and
 * quantization are folded.
 */
internal abstract class PictureTensor(card: VariantCard) : RowSink {
    private val spec = card.spec
    private val depth = spec.depth
    private val stateChannel = spec.state?.channel ?: depth
    private var first = 0 // pixel of the tensor at which the picture begins

    /** Where a colour lies in a pixel of the tensor: the state's channel is between or behind. */
    protected val places = IntArray(spec.channels.depth) { if (it < stateChannel) it else it + 1 }

    /** All numbers, for the state's channel. */
    abstract val values: TensorValues

    /** Stores a pixel's colour by the table. */
    protected abstract fun store(index: Int, colour: Int, byte: Int)

    /** Makes everything black where a picture will not reach, and says where it will. */
    fun place(at: Placement) {
        first = at.innerTop * spec.width + at.innerLeft
        for (pixel in 0 until spec.width * spec.height) {
            for (colour in places.indices) store(pixel * depth + places[colour], colour, 0)
        }
    }

    override fun put(row: Int, rgb: IntArray) {
        val start = (first + row * spec.width) * depth
        when (spec.channels) {
            Channels.RGB -> putColours(start, rgb, flip = 0)
            Channels.BGR -> putColours(start, rgb, flip = 2)
            Channels.GRAY -> putGray(start, rgb)
        }
    }

    /** Fills the state's channel with the plane [state], or with the value a video begins with. */
    fun putState(state: FloatArray?) {
        val channel = spec.state?.channel ?: return
        val initial = spec.state.initial
        for (pixel in 0 until spec.width * spec.height) {
            values.put(pixel * depth + channel, if (state == null) initial else state[pixel])
        }
    }

    fun writeTo(buffer: ByteBuffer) = values.writeTo(buffer)

    private fun putColours(start: Int, rgb: IntArray, flip: Int) {
        var at = start
        for (pixel in rgb.indices step 3) {
            store(at + places[0], 0, rgb[pixel + flip])
            store(at + places[1], 1, rgb[pixel + 1])
            store(at + places[2], 2, rgb[pixel + 2 - flip])
            at += depth
        }
    }

    private fun putGray(start: Int, rgb: IntArray) {
        var at = start
        for (pixel in rgb.indices step 3) {
            store(at + places[0], 0, gray(rgb[pixel], rgb[pixel + 1], rgb[pixel + 2]))
            at += depth
        }
    }

    companion object {
        fun of(card: VariantCard): PictureTensor =
            when (val values = TensorValues.of(card.input)) {
                is FloatValues -> FloatPicture(card, values)
                is ByteValues -> BytePicture(card, values)
            }
    }
}

private const val LEVELS = 256 // of a byte

private class FloatPicture(card: VariantCard, override val values: FloatValues) :
    PictureTensor(card) {
    private val table = FloatArray(places.size * LEVELS) {
        card.spec.normalize(it % LEVELS, it / LEVELS)
    }

    override fun store(index: Int, colour: Int, byte: Int) {
        values.array[index] = table[colour * LEVELS + byte]
    }
}

private class BytePicture(card: VariantCard, override val values: ByteValues) :
    PictureTensor(card) {
    private val table = ByteArray(places.size * LEVELS) {
        card.input.toStored(card.spec.normalize(it % LEVELS, it / LEVELS)).toByte()
    }

    override fun store(index: Int, colour: Int, byte: Int) {
        values.array[index] = table[colour * LEVELS + byte]
    }
}

// The weights of BT.601 (0.299, 0.587, 0.114) in 15 bits, as OpenCV has them.
private const val GRAY_BITS = 15
private const val RED = 9798
private const val GREEN = 19235
private const val BLUE = 3735

/** Gray of a colour, rounded half up. */
internal fun gray(red: Int, green: Int, blue: Int): Int =
    RED * red + GREEN * green + BLUE * blue + (1 shl GRAY_BITS - 1) shr GRAY_BITS
