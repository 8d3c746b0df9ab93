package io.github.portrait_tflite.core.measure

/**
 * How long to measure.
 *
 * @property runs timed runs of each cell, at least.
 * @property seconds that the timed runs of each cell take together, at least.
 * @property coolDownSeconds of rest before every cell but the first.
 */
data class Effort(
    val runs: Int = 50,
    val seconds: Double = 10.0,
    val coolDownSeconds: Double = 30.0,
) {
    init {
        require(runs > 0) { "runs must be 1 or more. Received: $runs." }
        require(seconds >= 0) { "seconds must be 0 or more. Received: $seconds." }
        require(coolDownSeconds >= 0) { "cooldown must be 0 or more. Received: $coolDownSeconds." }
    }
}
