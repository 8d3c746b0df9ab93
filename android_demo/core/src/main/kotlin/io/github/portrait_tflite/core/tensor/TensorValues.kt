package io.github.portrait_tflite.core.tensor

import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.TensorCard
import java.nio.ByteBuffer

/**
 * The numbers of a tensor, held in an array: buffers are slow one number at a time.
 *
 * @property elements numbers in the tensor.
 */
internal sealed class TensorValues(val elements: Int) {
    /** Stores a real value. */
    abstract fun put(index: Int, value: Float)

    /** The real value of a number. */
    abstract operator fun get(index: Int): Float

    /** Fills [buffer] from its beginning. */
    abstract fun writeTo(buffer: ByteBuffer)

    /** Reads [buffer] from its beginning. */
    abstract fun readFrom(buffer: ByteBuffer)

    companion object {
        fun of(card: TensorCard): TensorValues =
            if (card.type == ElementType.FLOAT32) FloatValues(card.elements) else ByteValues(card)
    }
}

/** Floats. */
internal class FloatValues(elements: Int) : TensorValues(elements) {
    val array = FloatArray(elements)

    override fun put(index: Int, value: Float) {
        array[index] = value
    }

    override fun get(index: Int): Float = array[index]

    override fun writeTo(buffer: ByteBuffer) {
        buffer.rewind()
        buffer.asFloatBuffer().put(array)
    }

    override fun readFrom(buffer: ByteBuffer) {
        buffer.rewind()
        buffer.asFloatBuffer().get(array)
    }
}

/** Quantized numbers of one byte, signed or not. */
internal class ByteValues(private val card: TensorCard) : TensorValues(card.elements) {
    val array = ByteArray(card.elements)

    /** Real value by byte, from 0 on as if it had no sign. */
    private val real = FloatArray(256) { card.toReal(it.toByte()) }

    override fun put(index: Int, value: Float) {
        array[index] = card.toStored(value).toByte()
    }

    override fun get(index: Int): Float = real[array[index].toInt() and 0xff]

    override fun writeTo(buffer: ByteBuffer) {
        buffer.rewind()
        buffer.put(array)
        buffer.rewind()
    }

    override fun readFrom(buffer: ByteBuffer) {
        buffer.rewind()
        buffer.get(array)
        buffer.rewind()
    }
}
