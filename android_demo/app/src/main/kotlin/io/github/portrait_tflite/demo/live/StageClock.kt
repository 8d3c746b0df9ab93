package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.measure.Statistics

/** What a frame passes through. */
enum class Stage {
    /** Taking the frame over from the camera. */
    CAMERA,

    /** From the frame to the network's input. */
    PREPROCESS,

    /** The network. */
    INFERENCE,

    /** Smoothing of the mask, and all that the GPU draws, until it is done. */
    EFFECT,
}

/** Times of the last [WINDOW] frames by stage, recorded by any thread. */
class StageClock {
    private class Ring {
        val samplesMs = DoubleArray(WINDOW)
        var count = 0
    }

    private val rings = Stage.entries.associateWith { Ring() }

    /** Adds a time in ms. */
    @Synchronized
    fun record(stage: Stage, ms: Double) {
        val ring = rings.getValue(stage)
        ring.samplesMs[ring.count % WINDOW] = ms
        ring.count++
    }

    /** The distribution of a stage's last times; null before the first. */
    @Synchronized
    fun read(stage: Stage): Statistics? {
        val ring = rings.getValue(stage)
        if (ring.count == 0) return null
        return Statistics.of(ring.samplesMs.copyOf(minOf(ring.count, WINDOW)))
    }

    /** Forgets all times: another model or delegate begins. */
    @Synchronized
    fun clear() = rings.values.forEach { it.count = 0 }

    private companion object {
        const val WINDOW = 100
    }
}

private const val NS_PER_MS = 1e6

/** Milliseconds since a reading of [System.nanoTime]. */
fun msSince(startNs: Long): Double = (System.nanoTime() - startNs) / NS_PER_MS
