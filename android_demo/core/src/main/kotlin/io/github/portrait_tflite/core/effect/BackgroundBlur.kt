package io.github.portrait_tflite.core.effect

import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.requirePair
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

private const val EPSILON = 1f / 256 // weight of the pixel itself, where no background is near
private const val FINEST = 2f // least standard deviation in cells, once the frame is reduced
private const val LAYERS = 4 // three colours and the weight

/**
 * A frame blurred by its background pixels alone, so that the person does not bleed into it.
 *
 * With w = 1 - m, short side s and sigma = strength * s pixels: cells of k x k pixels,
 * k = max(1, floor(sigma / 2)), hold `A = sum(w * F) / k^2` and `B = sum(w) / k^2`; both are
 * blurred by a Gaussian of sigma / k cells, with zeros outside, and read bilinearly at pixels:
 * `(A + e * F) / (B + e)`, e = 1/256. Normalized convolution, Knutsson and Westin 1993.
 *
 * @param frame upright.
 * @param mask of the frame's size.
 * @param strength standard deviation of the blur, of the frame's short side.
 */
class BackgroundBlur(private val frame: ArgbFrame, mask: Mask, strength: Float = STRENGTH) {
    private val sigma = strength.toDouble() * min(frame.width, frame.height)
    private val size = max(1, floor(sigma / FINEST).toInt())
    private val columns = cells(frame.width)
    private val rows = cells(frame.height)
    private val cells: FloatArray

    init {
        requirePair(frame, mask)
        require(strength > 0 && strength <= 1) {
            "a blur strength above 0, up to 1, is required. Received: $strength."
        }
        cells = FloatArray(LAYERS * columns * rows)
        for (index in mask.values.indices) add(index, 1 - mask.values[index])
        GaussianBlur(sigma / size).run(cells, columns, rows, LAYERS)
    }

    /** Writes the colours 0-255 of a pixel to [rgb]. */
    fun read(x: Int, y: Int, rgb: FloatArray) {
        val right = place(x, columns)
        val down = place(y, rows)
        val left = right.toInt()
        val top = down.toInt()
        val weight = between(3, left, top, right - left, down - top) + EPSILON
        val pixel = frame.pixels[y * frame.width + x]
        for (colour in 0 until 3) {
            val own = pixel shr 16 - 8 * colour and 0xff
            val near = between(colour, left, top, right - left, down - top)
            rgb[colour] = (near + EPSILON * own) / weight
        }
    }

    private fun cells(pixels: Int): Int = (pixels + size - 1) / size

    private fun add(index: Int, weight: Float) {
        val cell = index / frame.width / size * columns + index % frame.width / size
        val share = weight / (size * size)
        val pixel = frame.pixels[index]
        cells[LAYERS * cell] += share * (pixel shr 16 and 0xff)
        cells[LAYERS * cell + 1] += share * (pixel shr 8 and 0xff)
        cells[LAYERS * cell + 2] += share * (pixel and 0xff)
        cells[LAYERS * cell + 3] += share
    }

    /** Where a pixel's middle lies among cells, kept within the first and the last. */
    private fun place(pixel: Int, count: Int): Float =
        ((pixel + 0.5f) / size - 0.5f).coerceIn(0f, (count - 1).toFloat())

    private fun between(layer: Int, left: Int, top: Int, right: Float, down: Float): Float {
        val above = alongRow(layer, left, top, right)
        return above + down * (alongRow(layer, left, min(top + 1, rows - 1), right) - above)
    }

    private fun alongRow(layer: Int, left: Int, row: Int, right: Float): Float {
        val start = row * columns
        val here = cells[LAYERS * (start + left) + layer]
        return here + right * (cells[LAYERS * (start + min(left + 1, columns - 1)) + layer] - here)
    }

    companion object {
        /** Standard deviation of the blur, of the frame's short side. */
        const val STRENGTH = 0.025f
    }
}
