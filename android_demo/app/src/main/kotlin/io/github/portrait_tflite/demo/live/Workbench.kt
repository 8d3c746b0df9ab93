package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.frame.Frame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.TemporalSmoothing
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.model.ModelSource
import io.github.portrait_tflite.core.model.ModelSpec
import io.github.portrait_tflite.core.run.Portrait
import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.demo.models.RunOption
import java.io.Closeable

/** What lies on the interpreter's thread: one open network. No other thread may touch it. */
class Workbench(private val factory: SegmenterFactory, private val clock: StageClock) : Closeable {
    private var segmenter: Segmenter? = null
    private var portrait: Portrait? = null
    private val smoothing = TemporalSmoothing()

    /** Of the open network; null before the first. */
    var spec: ModelSpec? = null
        private set

    /**
     * Opens a variant on a delegate and closes the one before. Where that fails, for want of memory
     * too, the one before stays open.
     */
    fun open(source: ModelSource, card: ModelCard, option: RunOption): Running {
        val variant = LoadedVariant.load(source, card.variants.getValue(option.variant))
        val opened = factory.open(variant, option.choice)
        val next =
            try {
                Portrait(variant, opened)
            } catch (error: Throwable) {
                opened.close()
                throw error
            }
        close()
        segmenter = opened
        portrait = next
        spec = variant.card.spec
        return opened.running
    }

    /** Segments a frame of the camera into its matte; false where no network is open. */
    fun segment(shot: Shot): Boolean {
        val mask = infer(shot.frame, shot.orientation) ?: return false
        val start = System.nanoTime()
        smoothing.smooth(mask)
        shot.matte.load(mask, checkNotNull(spec))
        shot.smoothingMs = msSince(start)
        return true
    }

    /** Segments a picture that stands alone; null where no network is open. */
    fun segmentAlone(frame: Frame): Mask? {
        forget()
        return infer(frame, Orientation()).also { forget() }
    }

    /** Begins a new video. */
    fun forget() {
        portrait?.reset()
        smoothing.reset()
    }

    private fun infer(frame: Frame, orientation: Orientation): Mask? {
        val portrait = portrait ?: return null
        val mask = portrait.segment(frame, orientation)
        clock.record(Stage.PREPROCESS, portrait.times.preprocessMs)
        clock.record(Stage.INFERENCE, portrait.times.inferenceMs)
        return mask
    }

    override fun close() {
        segmenter?.close()
        segmenter = null
        portrait = null
        spec = null
        smoothing.reset()
    }
}
