package io.github.portrait_tflite.core.mask

import io.github.portrait_tflite.core.TestModel
import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.model.Fit
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.CsvSource

/** What the vectors do not hold. */
class MaskTest {
    private val spec = TestModel.card().variant("int8").spec // 48 high, 40 wide

    @Test
    fun `outside of a crop nobody is seen`() {
        val restorer = MaskRestorer(spec.copy(fit = Fit.CROP), 120, 48)
        val restored = restorer.restore(Mask(40, 48, FloatArray(40 * 48) { 1f }))
        assertEquals(0f, restored[39, 0])
        assertEquals(1f, restored[40, 0])
        assertEquals(1f, restored[79, 47])
        assertEquals(0f, restored[80, 47])
    }

    @Test
    fun `a very long picture still has a mask`() {
        val restorer = MaskRestorer(spec.copy(fit = Fit.LETTERBOX), 4000, 4)
        val restored = restorer.restore(Mask(4, 4, FloatArray(16) { 1f }))
        assertTrue(restored.values.all { it == 1f })
    }

    @Test
    fun `masks of another size are restored and smoothed anew`() {
        val restorer = MaskRestorer(spec, 8, 8)
        assertEquals(1f, restorer.restore(full(40, 48, 1f))[7, 7])
        assertEquals(0.5f, restorer.restore(full(20, 24, 0.5f))[7, 7])
        val smoothing = TemporalSmoothing()
        smoothing.smooth(full(2, 2, 0.5f))
        val other = full(3, 3, 0.6f)
        smoothing.smooth(other)
        assertEquals(0.6f, other[0, 0])
    }

    @Test
    fun `flicker is held, motion is followed, and a new video begins anew`() {
        val smoothing = TemporalSmoothing()
        smoothing.smooth(full(1, 1, 0.5f))
        val flicker = full(1, 1, 0.6f).also(smoothing::smooth)
        assertEquals(0.6f - 0.1f * 0.7f * 0.8f, flicker[0, 0], 1e-6f)
        val motion = full(1, 1, 0f).also(smoothing::smooth)
        assertEquals(0f, motion[0, 0])
        smoothing.reset()
        val first = full(1, 1, 0.1f).also(smoothing::smooth)
        assertEquals(0.1f, first[0, 0])
    }

    @Test
    fun `sizes must fit`() {
        assertThrows<IllegalArgumentException> { Mask(2, 2, FloatArray(3)) }
        val frame = ArgbFrame(2, 2, IntArray(4))
        assertThrows<IllegalArgumentException> { EdgeRefinement(1).refine(frame, Mask(2, 3)) }
        assertFalse(Mask(2, 3).sameSize(Mask(3, 2)))
    }

    @ParameterizedTest
    @CsvSource("96, 64, 48, 40, 2", "30, 30, 48, 40, 1", "480, 640, 40, 48, 13")
    fun `taps lie a pixel of the mask apart`(
        height: Int,
        width: Int,
        maskHeight: Int,
        maskWidth: Int,
        step: Int,
    ) {
        assertEquals(step, EdgeRefinement.step(width, height, maskWidth, maskHeight))
    }

    private fun full(width: Int, height: Int, value: Float) =
        Mask(width, height, FloatArray(width * height) { value })
}
