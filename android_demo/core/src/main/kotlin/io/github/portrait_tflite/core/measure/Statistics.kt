package io.github.portrait_tflite.core.measure

import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.sqrt

/** Distribution of timings in ms; [mad] is the median absolute deviation. */
data class Statistics(
    val median: Double,
    val mean: Double,
    val p90: Double,
    val p95: Double,
    val min: Double,
    val mad: Double,
) {
    companion object {
        /**
         * Reduces timings to their distribution; percentiles are interpolated as NumPy's.
         *
         * @param samplesMs one at least.
         */
        fun of(samplesMs: DoubleArray): Statistics {
            require(samplesMs.isNotEmpty()) { "one or more timings are required. Received: none." }
            val sorted = samplesMs.sortedArray()
            val median = percentile(sorted, 50)
            val deviations = DoubleArray(sorted.size) { abs(sorted[it] - median) }
            deviations.sort()
            return Statistics(
                median = median,
                mean = sorted.average(),
                p90 = percentile(sorted, 90),
                p95 = percentile(sorted, 95),
                min = sorted.first(),
                mad = percentile(deviations, 50),
            )
        }
    }
}

/** The standard deviation of [samplesMs] over their mean. */
internal fun relativeDeviation(samplesMs: DoubleArray): Double {
    val mean = samplesMs.average()
    val variance = samplesMs.sumOf { (it - mean) * (it - mean) } / samplesMs.size
    return if (mean > 0) sqrt(variance) / mean else 0.0
}

private fun percentile(sorted: DoubleArray, percent: Int): Double {
    val place = (sorted.size - 1) * percent / 100.0
    val below = sorted[floor(place).toInt()]
    val above = sorted[ceil(place).toInt()]
    return below + (above - below) * (place - floor(place))
}
