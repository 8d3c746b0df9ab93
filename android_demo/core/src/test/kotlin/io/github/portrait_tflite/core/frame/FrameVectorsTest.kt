package io.github.portrait_tflite.core.frame

import io.github.portrait_tflite.core.Vectors
import io.github.portrait_tflite.core.input.InputWriter
import io.github.portrait_tflite.core.mask.MaskReader
import io.github.portrait_tflite.core.mask.MaskRestorer
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.FileCard
import io.github.portrait_tflite.core.model.JsonField
import io.github.portrait_tflite.core.model.ModelSpec
import io.github.portrait_tflite.core.model.VariantCard
import io.github.portrait_tflite.core.model.readSpec
import io.github.portrait_tflite.core.model.readTensor
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.MethodSource

private const val STEP = 1f / 255

/** Frames become what Python makes of them, and outputs its masks, within a step. */
internal class FrameVectorsTest {
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    fun `a frame becomes the input that Python makes of it`(name: String, case: JsonField) {
        val card = cardOf(case)
        val frame = frameOf(case.at("frame"))
        val input = ByteBuffer.allocateDirect(card.input.bytes).order(ByteOrder.nativeOrder())
        InputWriter(card).write(frame, orientationOf(case.at("frame")), state = null, input)
        val expected = Vectors.buffer(case.at("expected_input").text())
        assertEquals(expected.limit(), input.limit(), name)
        val worst = worstOf(expected, input, card)
        assertTrue(worst <= 1.001, "$name: $worst steps")
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    fun `an output becomes the mask that Python makes of it`(name: String, case: JsonField) {
        val card = cardOf(case)
        val mask = MaskReader(card).read(Vectors.buffer(case.at("net_output").text()))
        val (height, width) = case.at("mask").let { it.at("height").int() to it.at("width").int() }
        val restored = MaskRestorer(card.spec, width, height).restore(mask)
        val expected = Vectors.floats(case.at("expected_mask").text())
        assertEquals(expected.size, restored.values.size)
        val worst = expected.indices.maxOf { abs(expected[it] - restored.values[it]) }
        assertTrue(worst <= STEP, "$name: $worst")
    }

    private fun worstOf(expected: ByteBuffer, input: ByteBuffer, card: VariantCard): Double {
        val step = stepOf(card.spec)
        return (0 until card.input.elements).maxOf {
            when (card.input.type) {
                ElementType.INT8 -> abs(expected[it] - input[it]).toDouble()
                ElementType.UINT8 -> abs(unsigned(expected[it]) - unsigned(input[it])).toDouble()
                ElementType.FLOAT32 ->
                    abs(expected.getFloat(4 * it) - input.getFloat(4 * it)) / step
            }
        }
    }

    private fun unsigned(byte: Byte) = byte.toInt() and 0xff

    /** What a byte of a picture, one more or less, changes in a float input. */
    private fun stepOf(spec: ModelSpec) =
        (spec.high - spec.low) / 255 / (spec.std.minOrNull() ?: 1f)

    companion object {
        @JvmStatic
        fun cases(): List<Array<Any>> =
            Vectors.all("cases").map { arrayOf(it.at("name").text(), it) }

        fun cardOf(case: JsonField) =
            VariantCard(
                name = case.at("name").text(),
                file = FileCard("", 0, ""),
                input = readTensor(case.at("input")),
                output = readTensor(case.at("output")),
                stateInput = null,
                stateOutput = null,
                recommended = DelegateKind.CPU,
                spec = readSpec(case.at("spec")),
                tolerance = emptyMap(),
            )

        fun orientationOf(frame: JsonField) =
            Orientation(
                degrees = frame.at("rotation").int(),
                mirrored = frame.at("mirror").oneOf(listOf(true, false)) { it.toString() },
            )

        fun frameOf(field: JsonField): Frame {
            val (width, height) = field.at("width").int() to field.at("height").int()
            field.at("rgb").orNull()?.let {
                return ArgbFrame(width, height, Vectors.pixels(it.text()))
            }
            val frame = YuvFrame().apply { resize(width, height) }
            for ((plane, name) in listOf(frame.y to "y", frame.u to "u", frame.v to "v")) {
                val stored = field.at("planes").at(name)
                plane.load(
                    Vectors.buffer(stored.at("file").text()),
                    stored.at("row_stride").int(),
                    stored.at("pixel_stride").int(),
                )
            }
            return frame
        }
    }
}
