package io.github.portrait_tflite.core.resize

import kotlin.math.floor
import kotlin.math.min

/**
 * Which two source pixels each pixel of a resized line is mixed of; OpenCV's INTER_LINEAR.
 *
 * @property first by pixel: the nearer to the line's beginning.
 * @property second by pixel: its neighbour, or the same at the line's end.
 * @property share by pixel: how much of the second, 0 to 1.
 */
internal class Taps(val first: IntArray, val second: IntArray, val share: FloatArray) {
    val size: Int get() = first.size

    companion object {
        /** Mixes [source] pixels into [target] ones; pixels are areas, whose middles are taken. */
        fun bilinear(source: Int, target: Int): Taps {
            val scale = scale(source, target)
            val places = FloatArray(target) { ((it + 0.5) * scale - 0.5).toFloat() }
            return of(source, target) { places[it] }
        }

        /** Takes the pixel at or before each place; OpenCV's INTER_NEAREST. */
        fun nearest(source: Int, target: Int): Taps {
            val scale = scale(source, target)
            return of(source, target) { floor(it * scale).toFloat() }
        }

        /** Mixes as OpenCV's INTER_AREA does where it enlarges. */
        fun areaEnlarged(source: Int, target: Int): Taps {
            val inverse = target.toDouble() / source
            val scale = scale(source, target)
            return of(source, target) {
                val at = floor(it * scale)
                val beyond = ((it + 1) - (at + 1) * inverse).toFloat()
                at.toFloat() + if (beyond <= 0) 0f else beyond - floor(beyond)
            }
        }

        private fun of(source: Int, target: Int, place: (Int) -> Float): Taps {
            val last = source - 1
            val taps = Taps(IntArray(target), IntArray(target), FloatArray(target))
            for (index in 0 until target) {
                val at = place(index)
                val first = floor(at).toInt().coerceIn(0, last)
                taps.first[index] = first
                taps.second[index] = min(first + 1, last)
                taps.share[index] = if (at <= 0 || first == last) 0f else at - first
            }
            return taps
        }

        // As OpenCV has it: the inverse first, whose rounding decides at whole places.
        private fun scale(source: Int, target: Int): Double = 1 / (target.toDouble() / source)
    }
}
