package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.input.StateWriter
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.MaskReader
import io.github.portrait_tflite.core.model.Activation
import io.github.portrait_tflite.core.model.LoadedVariant
import java.nio.ByteBuffer

/** What a network for video is fed with: its own output for the frame before. */
internal class Memory private constructor(
    private val variant: LoadedVariant,
    private val writer: StateWriter?,
    private val reader: MaskReader?,
) {
    /** Null at the beginning of a video. A copy: the app may change the mask it was given. */
    var state: Mask? = null
        private set

    /** Fills the input of its own, where the network has one. */
    fun feed(inputs: List<ByteBuffer>) {
        val at = variant.stateInput ?: return
        writer?.write(state, inputs[at])
    }

    /** Keeps what the next frame is fed with. */
    fun remember(mask: Mask, outputs: List<ByteBuffer>) {
        val next = variant.stateOutput?.let { reader?.read(outputs[it]) } ?: mask
        val kept = state?.takeIf(next::sameSize) ?: Mask(next.width, next.height)
        next.values.copyInto(kept.values)
        state = kept
    }

    fun forget() {
        state = null
    }

    companion object {
        /** Null for a network that remembers nothing. */
        fun of(variant: LoadedVariant): Memory? {
            val state = variant.card.spec.state ?: return null
            val writer = variant.card.stateInput?.let { StateWriter(it, state.initial) }
            // As the network gives it: the activation of the mask is not that of the state.
            val reader =
                variant.card.stateOutput?.let { MaskReader(it, channel = 0, Activation.NONE) }
            return Memory(variant, writer, reader)
        }
    }
}
