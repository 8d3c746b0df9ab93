package io.github.portrait_tflite.core.effect

import io.github.portrait_tflite.core.Vectors
import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.mask.EdgeRefinement
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.TemporalSmoothing
import io.github.portrait_tflite.core.model.JsonField
import kotlin.math.abs
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.MethodSource

/** Effects, edges and smoothing are those of portrait_tflite.effects. */
internal class EffectVectorsTest {
    @ParameterizedTest(name = "{0} {1}")
    @MethodSource("effects")
    fun `an effect shows what Python shows`(name: String, effect: String, case: JsonField) {
        val asked = checkNotNull(Effect.of(effect))
        val shown = rendererFor(case).draw(asked, frameOf(case), maskOf(case))
        val expected = Vectors.bytes(case.at("expected").text())
        val channels = expected.size / shown.pixels.size
        val worst =
            expected.indices.maxOf {
                val pixel = shown.pixels[it / channels]
                abs((expected[it].toInt() and 0xff) - channel(pixel, it % channels))
            }
        assertTrue(worst <= 1, "$name: $worst steps")
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("edges")
    fun `edges are refined as in Python`(name: String, case: JsonField) {
        val refined = EdgeRefinement(case.at("step_px").int()).refine(frameOf(case), maskOf(case))
        assertNear(name, Vectors.floats(case.at("expected").text()), refined.values)
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("smoothing")
    fun `a video is smoothed as in Python`(name: String, case: JsonField) {
        val smoothing = TemporalSmoothing()
        for (frame in case.at("frames").items()) {
            val values = Vectors.floats(frame.at("mask").text())
            val mask = Mask(case.at("width").int(), case.at("height").int(), values)
            smoothing.smooth(mask)
            assertNear(name, Vectors.floats(frame.at("expected").text()), mask.values)
        }
    }

    private fun assertNear(name: String, expected: FloatArray, received: FloatArray) {
        assertEquals(expected.size, received.size)
        val worst = expected.indices.maxOf { abs(expected[it] - received[it]) }
        assertTrue(worst <= 1f / 255, "$name: $worst")
    }

    /** Red, green, blue and alpha. */
    private fun channel(pixel: Int, number: Int) =
        pixel shr intArrayOf(16, 8, 0, 24)[number] and 0xff

    private fun rendererFor(case: JsonField) =
        EffectRenderer(
            color = case.at("color").orNull()?.let(::colorOf) ?: GREEN,
            background = case.at("background").orNull()?.let { pictureOf(it, "file") },
            strength = case.at("strength").orNull()?.float() ?: BackgroundBlur.STRENGTH,
        )

    private fun colorOf(field: JsonField) =
        field.items().fold(0xff) { packed, item -> packed shl 8 or item.int() }

    private fun frameOf(case: JsonField) = pictureOf(case, "frame")

    private fun pictureOf(case: JsonField, file: String) =
        ArgbFrame(
            case.at("width").int(),
            case.at("height").int(),
            Vectors.pixels(case.at(file).text()),
        )

    private fun maskOf(case: JsonField) =
        Mask(
            case.at("width").int(),
            case.at("height").int(),
            Vectors.floats(case.at("matte").text()),
        )

    companion object {
        @JvmStatic
        fun effects(): List<Array<Any>> =
            Vectors.all("effects").map {
                arrayOf(it.at("name").text(), it.at("effect").text(), it)
            }

        @JvmStatic
        fun edges(): List<Array<Any>> = named("edges")

        @JvmStatic
        fun smoothing(): List<Array<Any>> = named("smoothing")

        private fun named(kind: String): List<Array<Any>> =
            Vectors.all(kind).map { arrayOf(it.at("name").text(), it) }
    }
}
