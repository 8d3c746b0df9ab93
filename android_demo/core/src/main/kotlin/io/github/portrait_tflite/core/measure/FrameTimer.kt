package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.run.Portrait
import io.github.portrait_tflite.core.run.Segmenter

private const val FRAMES = 30
private const val WARM_UP = 3
private const val NANOS_PER_MS = 1e6

/** Times the stages of whole frames one after the other, so that none disturbs another. */
internal class FrameTimer(private val stages: FrameStages, private val nanoTime: () -> Long) {
    private val camera = ArrayList<Double>()
    private val preprocess = ArrayList<Double>()
    private val inference = ArrayList<Double>()
    private val effect = ArrayList<Double>()

    /** Runs some frames through an open network. */
    fun run(variant: LoadedVariant, segmenter: Segmenter): FrameTimes {
        val portrait = Portrait(variant, segmenter, nanoTime)
        repeat(WARM_UP + FRAMES) { number -> time(portrait, counts = number >= WARM_UP) }
        return FrameTimes(of(camera), of(preprocess), of(inference), of(effect))
    }

    private fun time(portrait: Portrait, counts: Boolean) {
        goOnUnlessStopped()
        val start = nanoTime()
        val frame = stages.camera()
        val taken = nanoTime()
        val mask = portrait.segment(frame, stages.orientation)
        val found = nanoTime()
        stages.effect(frame, mask)
        val shown = nanoTime()
        if (!counts) return
        camera += (taken - start) / NANOS_PER_MS
        preprocess += portrait.times.preprocessMs
        inference += portrait.times.inferenceMs
        effect += (shown - found) / NANOS_PER_MS
    }

    private fun of(samplesMs: List<Double>) = Statistics.of(samplesMs.toDoubleArray())
}
