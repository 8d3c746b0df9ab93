package io.github.portrait_tflite.core.resize

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.min

private const val SLIVER = 1e-3 // of a pixel: less is passed over, as OpenCV does

/**
 * Which source pixels each pixel of a reduced line covers, and by how much; OpenCV's INTER_AREA.
 *
 * @property start by pixel: where its part of [sources] and [weights] begins; one more at the end.
 */
internal class AreaTaps private constructor(
    val start: IntArray,
    val sources: IntArray,
    val weights: FloatArray,
) {
    val size: Int get() = start.size - 1

    private class Collector {
        val sources = ArrayList<Int>()
        val weights = ArrayList<Float>()

        fun add(source: Int, weight: Double) {
            sources += source
            weights += weight.toFloat()
        }
    }

    companion object {
        /** Covers [source] pixels by [target], of which there are not more. */
        fun of(source: Int, target: Int): AreaTaps {
            val scale = source.toDouble() / target
            val found = Collector()
            val start = IntArray(target + 1)
            for (index in 0 until target) {
                cover(index * scale, scale, source, found)
                start[index + 1] = found.sources.size
            }
            return AreaTaps(start, found.sources.toIntArray(), found.weights.toFloatArray())
        }

        private fun cover(from: Double, scale: Double, source: Int, found: Collector) {
            val to = from + scale
            val cell = min(scale, source - from)
            val last = min(floor(to).toInt(), source - 1)
            val first = min(ceil(from).toInt(), last)
            if (first - from > SLIVER) found.add(first - 1, (first - from) / cell)
            for (whole in first until last) found.add(whole, 1 / cell)
            if (to - last > SLIVER) found.add(last, min(min(to - last, 1.0), cell) / cell)
        }
    }
}
