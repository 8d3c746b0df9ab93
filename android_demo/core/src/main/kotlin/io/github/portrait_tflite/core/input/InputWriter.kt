package io.github.portrait_tflite.core.input

import io.github.portrait_tflite.core.frame.Frame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.frame.PixelRows
import io.github.portrait_tflite.core.frame.PixelRowsCache
import io.github.portrait_tflite.core.frame.Placement
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.model.VariantCard
import io.github.portrait_tflite.core.resize.RowResampler
import java.nio.ByteBuffer

/**
 * Writes frames into a variant's picture input in one pass: rotation, mirroring, fit, resize,
 * colours, and range, mean, std and quantization by a look-up table. Makes its tables anew only
 * when frames are laid out otherwise (size, strides, orientation), not when they change buffers.
 */
class InputWriter(card: VariantCard) {
    private val spec = card.spec
    private val tensor = PictureTensor.of(card)
    private val stateResize = StateResize(spec.width, spec.height)
    private val rows = PixelRowsCache()
    private var at: Placement? = null
    private var resampler: RowResampler? = null

    /**
     * Fills [input] (from its beginning, whole) with a frame.
     *
     * @param state the previous mask, for a network that takes it as a channel of the picture; null
     *   at the beginning of a video and for other networks.
     */
    fun write(frame: Frame, orientation: Orientation, state: Mask?, input: ByteBuffer) {
        val source = rows.of(frame, orientation)
        resamplerFor(source).run(source, tensor)
        tensor.putState(state?.let(stateResize::run))
        tensor.writeTo(input)
    }

    private fun resamplerFor(source: PixelRows): RowResampler {
        val wanted = Placement.of(spec.fit, source.width, source.height, spec.width, spec.height)
        resampler?.takeIf { wanted == at }?.let { return it }
        tensor.place(wanted)
        at = wanted
        return RowResampler.of(spec.interpolation, wanted).also { resampler = it }
    }
}
