package io.github.portrait_tflite.core.frame

import io.github.portrait_tflite.core.model.Fit
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/**
 * Where a picture lies in a rectangle that it is fitted into, such as a network's.
 *
 * The picture's region of [width] x [height] pixels at ([left], [top]) fills the rectangle's region
 * of [innerWidth] x [innerHeight] at ([innerLeft], [innerTop]).
 */
data class Placement(
    val left: Int,
    val top: Int,
    val width: Int,
    val height: Int,
    val innerLeft: Int,
    val innerTop: Int,
    val innerWidth: Int,
    val innerHeight: Int,
) {
    companion object {
        /**
         * Places a picture, centred.
         *
         * @param width of the upright picture.
         * @param height of the upright picture.
         * @param intoWidth of the rectangle.
         * @param intoHeight of the rectangle.
         */
        fun of(fit: Fit, width: Int, height: Int, intoWidth: Int, intoHeight: Int): Placement {
            val scaleX = intoWidth.toDouble() / width
            val scaleY = intoHeight.toDouble() / height
            return when (fit) {
                Fit.STRETCH -> Placement(0, 0, width, height, 0, 0, intoWidth, intoHeight)
                Fit.LETTERBOX -> {
                    val scale = min(scaleX, scaleY)
                    val innerWidth = side(width * scale, intoWidth)
                    val innerHeight = side(height * scale, intoHeight)
                    val barLeft = (intoWidth - innerWidth) / 2
                    val barTop = (intoHeight - innerHeight) / 2
                    Placement(0, 0, width, height, barLeft, barTop, innerWidth, innerHeight)
                }
                Fit.CROP -> {
                    val scale = max(scaleX, scaleY)
                    val kept = side(intoWidth / scale, width)
                    val keptHeight = side(intoHeight / scale, height)
                    val left = (width - kept) / 2
                    val top = (height - keptHeight) / 2
                    Placement(left, top, kept, keptHeight, 0, 0, intoWidth, intoHeight)
                }
            }
        }

        /** Rounds half to even, as Python's round does. */
        private fun side(pixels: Double, most: Int): Int = round(pixels).toInt().coerceIn(1, most)
    }
}
