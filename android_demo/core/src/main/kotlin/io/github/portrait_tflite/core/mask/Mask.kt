package io.github.portrait_tflite.core.mask

/**
 * Where the person is.
 *
 * @property values row by row, [width] * [height] of them: 0 is background, 1 is person.
 */
class Mask(val width: Int, val height: Int, val values: FloatArray = FloatArray(width * height)) {
    init {
        require(values.size == width * height) {
            "${width * height} values are required for $width x $height. Received: ${values.size}."
        }
    }

    /** The value of a pixel. */
    operator fun get(x: Int, y: Int): Float = values[y * width + x]

    /** Whether a mask has the same size. */
    fun sameSize(other: Mask): Boolean = width == other.width && height == other.height

    companion object {
        /** From which value on a pixel is the person. */
        const val THRESHOLD = 0.5f
    }
}
