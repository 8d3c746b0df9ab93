package io.github.portrait_tflite.core.effect

import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.mask.Mask
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

/** Effects that are refused, and names. */
class EffectRendererTest {
    private val frame = ArgbFrame(4, 4, IntArray(16) { 0xff336699.toInt() })
    private val mask = Mask(4, 4)

    @Test
    fun `a background picture is required for a background`() {
        val error =
            assertThrows<IllegalArgumentException> {
                EffectRenderer().draw(Effect.BACKGROUND, frame, mask)
            }
        assertEquals("a background picture is required", error.message)
    }

    @Test
    fun `a mask of another size is refused`() {
        val error =
            assertThrows<IllegalArgumentException> {
                EffectRenderer().draw(Effect.MASK, frame, Mask(2, 2))
            }
        assertEquals(
            "a mask of the frame's 4 x 4 is required. Received: 2 x 2. Restore it to the frame's " +
                "size first.",
            error.message,
        )
    }

    @Test
    fun `a blur needs a strength`() {
        assertThrows<IllegalArgumentException> { BackgroundBlur(frame, mask, strength = 0f) }
    }

    @Test
    fun `the person is the frame and the rest is the colour`() {
        val shown = EffectRenderer().draw(Effect.COLOR, frame, Mask(4, 4, FloatArray(16) { 1f }))
        assertEquals(frame.pixels.toList(), shown.pixels.toList())
        val green = EffectRenderer().draw(Effect.COLOR, frame, mask)
        assertEquals(List(16) { GREEN }, green.pixels.toList())
    }

    @Test
    fun `effects have the names of the command line`() {
        assertEquals(Effect.BLUR, Effect.of("blur"))
        assertNull(Effect.of("sepia"))
    }
}
