package io.github.portrait_tflite.core.mask

import io.github.portrait_tflite.core.frame.ArgbFrame
import kotlin.math.exp
import kotlin.math.floor
import kotlin.math.max

private const val REACH = 2 // taps to each side
private const val SIDE = 2 * REACH + 1
private const val SPREAD = 1.5 // standard deviation over the taps
private const val COLOR = 0.1 * 255 // standard deviation over colours
private const val LOW = 0.1f // of the mask: what becomes 0
private const val HIGH = 0.9f // what becomes 1
private const val FARTHEST = 1 shl 15 // squared distance of colours, whose weight is below 2e-11

/**
 * Draws a coarse mask to the edges of its frame: averages it over pixels of like colour and raises
 * its contrast. Joint bilateral upsampling (Kopf et al. 2007) of a mask that was restored to the
 * frame's size.
 *
 * With the frame F in 0-1 and taps d in {-2 … 2}^2, q = p + step * d kept within the frame:
 * `w(d) = exp(-|d|^2 / (2 * 1.5^2)) * exp(-|F(q) - F(p)|^2 / (2 * 0.1^2))`,
 * `a = sum(w * m(q)) / sum(w)`, `t = clamp((a - 0.1) / 0.8, 0, 1)`, result `t^2 * (3 - 2 * t)`.
 *
 * @param step pixels between taps; see [step].
 */
class EdgeRefinement(private val step: Int) {
    /** Refines a mask of an upright frame's size; both stay as they are. */
    fun refine(frame: ArgbFrame, mask: Mask): Mask {
        requirePair(frame, mask)
        val refined = Mask(mask.width, mask.height)
        for (y in 0 until mask.height) {
            for (x in 0 until mask.width) {
                refined.values[y * mask.width + x] = sharpened(average(frame, mask, x, y))
            }
        }
        return refined
    }

    private fun average(frame: ArgbFrame, mask: Mask, x: Int, y: Int): Float {
        val center = frame.pixels[y * mask.width + x]
        var total = 0f
        var weights = 0f
        for (tap in NEAR.indices) {
            val row = (y + step * (tap / SIDE - REACH)).coerceIn(0, mask.height - 1)
            val column = (x + step * (tap % SIDE - REACH)).coerceIn(0, mask.width - 1)
            val at = row * mask.width + column
            val weight = NEAR[tap] * likeness(center, frame.pixels[at])
            total += weight * mask.values[at]
            weights += weight
        }
        return total / weights
    }

    companion object {
        /**
         * Pixels between taps: a pixel of the network's mask in pixels of the frame, 1 at least.
         *
         * @param width of the frame.
         * @param height of the frame.
         */
        fun step(width: Int, height: Int, maskWidth: Int, maskHeight: Int): Int {
            val larger = max(width.toDouble() / maskWidth, height.toDouble() / maskHeight)
            return max(1, floor(larger + 0.5).toInt())
        }

        private val NEAR = FloatArray(SIDE * SIDE) {
            val down = it / SIDE - REACH
            val right = it % SIDE - REACH
            exp(-(down * down + right * right) / (2 * SPREAD * SPREAD)).toFloat()
        }

        private val ALIKE = FloatArray(FARTHEST) { exp(-it / (2 * COLOR * COLOR)).toFloat() }

        private fun likeness(one: Int, other: Int): Float {
            val red = (one shr 16 and 0xff) - (other shr 16 and 0xff)
            val green = (one shr 8 and 0xff) - (other shr 8 and 0xff)
            val blue = (one and 0xff) - (other and 0xff)
            val squared = red * red + green * green + blue * blue
            return if (squared < FARTHEST) ALIKE[squared] else 0f
        }

        private fun sharpened(average: Float): Float {
            val t = ((average - LOW) / (HIGH - LOW)).coerceIn(0f, 1f)
            return t * t * (3 - 2 * t)
        }
    }
}
