package io.github.portrait_tflite.core.measure

import kotlin.math.abs

private const val ENOUGH_RUNS = 50
private const val STABLE_MAD = 0.05 // of the median
private const val NOISY_DEVIATION = 0.1 // of the mean; pyperf's rule
private const val SETTLED = 0.05 // of the median
private const val WINDOW = 5 // runs whose median is compared with the ones before

/** Whether half of the timings lie within 5 % of the median. */
internal fun isStable(latency: Statistics): Boolean = latency.mad <= STABLE_MAD * latency.median

/** Says aloud what speaks against a series of timings, and what to do about it. */
internal fun doubts(samplesMs: DoubleArray): List<String> =
    listOfNotNull(
        "only ${samplesMs.size} runs; use $ENOUGH_RUNS or more"
            .takeIf { samplesMs.size < ENOUGH_RUNS },
        "standard deviation is over 10% of the mean; close other apps or run longer"
            .takeIf { relativeDeviation(samplesMs) >= NOISY_DEVIATION },
    )

/** Says when timings still fell or rose when warm-up was given up. */
internal fun warmUpDoubts(warmUpMs: List<Double>): List<String> =
    if (hasSettled(warmUpMs)) {
        emptyList()
    } else {
        listOf("timings had not settled after ${warmUpMs.size} runs of warm-up; measure again")
    }

/** Says when the device grew hotter by a whole step, at which it may have slowed down. */
internal fun heatWarnings(thermal: BeforeAfter<String>): List<String> =
    if (thermal.before == thermal.after) {
        emptyList()
    } else {
        listOf("thermal status went from ${thermal.before} to ${thermal.after}; cool down longer")
    }

/** Whether timings no longer fall or rise: the last five against the five before. */
internal fun hasSettled(samplesMs: List<Double>): Boolean {
    if (samplesMs.size < 2 * WINDOW) return false
    val last = median(samplesMs.takeLast(WINDOW))
    val before = median(samplesMs.takeLast(2 * WINDOW).take(WINDOW))
    return abs(last - before) <= SETTLED * before
}

private fun median(samplesMs: List<Double>) = Statistics.of(samplesMs.toDoubleArray()).median
