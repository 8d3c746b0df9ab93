package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.frame.Frame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.input.InputWriter
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.MaskReader
import io.github.portrait_tflite.core.model.LoadedVariant

private const val NANOS_PER_MS = 1e6

/** Times of one frame's stages, in ms; [preprocessMs] includes reading the mask. */
data class StageTimes(val preprocessMs: Double, val inferenceMs: Double)

/**
 * From frames to person masks: pre-processing, the network with what it remembers, post-processing.
 * Belongs to one thread, as its segmenter does, and does not close it.
 *
 * @property nanoTime a clock that only goes forwards.
 */
class Portrait(
    private val variant: LoadedVariant,
    private val segmenter: Segmenter,
    private val nanoTime: () -> Long = System::nanoTime,
) {
    private val writer = InputWriter(variant.card)
    private val reader = MaskReader(variant.card)
    private val memory = Memory.of(variant)

    /** What the last frame took. */
    var times = StageTimes(0.0, 0.0)
        private set

    /**
     * Finds the person in a frame.
     *
     * @return the mask at the network's resolution, lying in its rectangle as `Fit` says; the same
     *   object each time, filled anew. `MaskRestorer` brings it to the frame's size.
     */
    fun segment(frame: Frame, orientation: Orientation = Orientation()): Mask {
        val start = nanoTime()
        val picture = segmenter.inputs[variant.pictureInput]
        writer.write(frame, orientation, memory?.state, picture)
        memory?.feed(segmenter.inputs)
        val fed = nanoTime()
        segmenter.run()
        val ran = nanoTime()
        val mask = reader.read(segmenter.outputs[variant.maskOutput])
        memory?.remember(mask, segmenter.outputs)
        val end = nanoTime()
        times = StageTimes((fed - start + end - ran) / NANOS_PER_MS, (ran - fed) / NANOS_PER_MS)
        return mask
    }

    /** Forgets what came before: the next frame begins a video. */
    fun reset() {
        memory?.forget()
    }
}
