package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.frame.YuvFrame
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.MaskRestorer
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Portrait
import java.nio.ByteBuffer
import kotlin.math.abs
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The lines that README.md shows to copy; tests/android/test_readme.py holds them to each other. */
class CopiedTest {
    /** Of `android.media.Image`, what the lines use: a gray picture as the camera hands it over. */
    private class Image(val width: Int, val height: Int, luma: (Int, Int) -> Int) {
        val planes =
            listOf(
                Plane(bytes(width * height) { luma(it % width, it / width) }, width, 1),
                // Blue and red share their bytes, one behind the other.
                Plane(bytes(width * height / 2) { GRAY }, width, 2),
                Plane(bytes(width * height / 2) { GRAY }, width, 2),
            )

        private fun bytes(size: Int, value: (Int) -> Int): ByteBuffer =
            ByteBuffer.wrap(ByteArray(size) { value(it).toByte() })
    }

    private class Plane(val buffer: ByteBuffer, val rowStride: Int, val pixelStride: Int)

    @Test
    fun `from the camera's image to the person's mask`() {
        DesktopRuntime.factory()
        val source = Nets.source("rgb_stretch_int8")
        val image = Image(64, 48, ::luma)
        val orientation = Orientation(270, mirrored = true)
        // README: once, on the thread that will run it
        val card = ModelCard.read(source)
        val variant = LoadedVariant.load(source, card.variant("int8"))
        val choice = DelegateChoice(DelegateKind.XNNPACK, threads = 4)
        val segmenter = TfliteFactory().open(variant, choice)
        val portrait = Portrait(variant, segmenter)
        val frame = YuvFrame()
        // for every image of Camera2's ImageReader in YUV_420_888
        frame.resize(image.width, image.height)
        for ((plane, from) in listOf(frame.y, frame.u, frame.v).zip(image.planes)) {
            plane.load(from.buffer, from.rowStride, from.pixelStride)
        }
        val coarse = portrait.segment(frame, orientation)
        val width = if (orientation.turned) frame.height else frame.width
        val height = if (orientation.turned) frame.width else frame.height
        val mask = MaskRestorer(variant.card.spec, width, height).restore(coarse)
        // on the same thread, at the end
        segmenter.close()
        // README ends
        assertEquals(48 to 64, mask.width to mask.height)
        assertNear(expected(variant), mask)
    }

    /** The same picture, turned by hand. */
    private fun expected(variant: LoadedVariant): Mask {
        val upright =
            IntArray(48 * 64) {
                val (x, y) = it % 48 to it / 48
                // Rotated by 270° clockwise, then mirrored.
                luma(63 - y, 47 - x) * 0x010101
            }
        val cpu = DelegateChoice(DelegateKind.CPU)
        return TfliteFactory().open(variant, cpu).use { segmenter ->
            val coarse = Portrait(variant, segmenter).segment(ArgbFrame(48, 64, upright))
            MaskRestorer(variant.card.spec, 48, 64).restore(coarse)
        }
    }

    private fun assertNear(expected: Mask, received: Mask) {
        val worst = expected.values.indices.maxOf { abs(expected.values[it] - received.values[it]) }
        assertTrue(worst <= 0.05f, "differs by $worst")
        assertTrue(expected.values.any { it > 0.6f } && expected.values.any { it < 0.4f })
    }

    private companion object {
        const val GRAY = 128

        /** Bright in a corner. */
        fun luma(x: Int, y: Int): Int = 255 - 2 * x - 2 * y
    }
}
