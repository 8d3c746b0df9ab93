package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.FakeFactory
import io.github.portrait_tflite.core.FakeSegmenter
import io.github.portrait_tflite.core.TestModel
import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.LoadedVariant
import java.nio.ByteBuffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

private val CPU = DelegateChoice(DelegateKind.CPU)
private const val PERSON: Byte = 0 // of int8 with the zero point -128: a half

/** Frames through a network that is played. */
class PortraitTest {
    private val black = ArgbFrame(4, 4, IntArray(16))

    @Test
    fun `a network for video is fed with its own mask`() {
        val variant = TestModel.load("previous_mask_int8")
        val fed = ArrayList<Byte>()
        val portrait =
            portrait(variant) {
                fed += it.inputs[checkNotNull(variant.stateInput)][0]
                fill(it.outputs[0], PERSON)
            }
        val mask = portrait.segment(black)
        assertEquals(0.5f, mask[3, 3])
        mask.values.fill(0f) // what the app does with a mask is no business of the network's
        portrait.segment(black)
        portrait.reset()
        portrait.segment(black)
        assertEquals(fed[0], fed[2])
        val state = checkNotNull(variant.card.stateInput)
        assertEquals(0.5f, (fed[1] - state.zeroPoint) * state.scale, state.scale)
        assertEquals(0f, (fed[0] - state.zeroPoint) * state.scale, state.scale)
    }

    @Test
    fun `a state of its own is fed as the network gives it`() {
        val variant = TestModel.load("previous_mask_int8")
        // The same file, said to feed back a second output of the size of the mask.
        val state = variant.card.output
        val spec = checkNotNull(variant.card.spec.state).copy(fromOutput = 1)
        val card =
            variant.card.copy(stateOutput = state, spec = variant.card.spec.copy(state = spec))
        val two =
            LoadedVariant(
                card,
                variant.source,
                variant.data,
                variant.inputs,
                variant.outputSizes * 2,
                0,
                1,
                variant.ops,
            )
        val fed = ArrayList<Byte>()
        val portrait =
            portrait(two) {
                fed += it.inputs[checkNotNull(two.stateInput)][0]
                fill(it.outputs[0], Byte.MIN_VALUE)
                fill(it.outputs[1], PERSON)
            }
        portrait.segment(black)
        portrait.segment(black)
        val input = checkNotNull(card.stateInput)
        assertEquals(0.5f, (fed[1] - input.zeroPoint) * input.scale, input.scale)
    }

    @Test
    fun `stages are timed apart`() {
        val variant = TestModel.load()
        val ticks = longArrayOf(0, 2_000_000, 12_000_000, 13_000_000).iterator()
        val segmenter = FakeFactory().open(variant, CPU)
        val portrait = Portrait(variant, segmenter) { ticks.next() }
        portrait.segment(black)
        assertEquals(StageTimes(preprocessMs = 3.0, inferenceMs = 10.0), portrait.times)
        portrait.reset()
    }

    private fun portrait(variant: LoadedVariant, compute: (FakeSegmenter) -> Unit) =
        Portrait(variant, FakeFactory { _, fake -> compute(fake) }.open(variant, CPU))

    private fun fill(buffer: ByteBuffer, value: Byte) {
        for (index in 0 until buffer.limit()) buffer.put(index, value)
    }

    private operator fun List<Int>.times(count: Int) = List(count) { this }.flatten()
}
