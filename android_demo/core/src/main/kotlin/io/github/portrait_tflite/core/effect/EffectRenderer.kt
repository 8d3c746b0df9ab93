package io.github.portrait_tflite.core.effect

import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.requirePair
import kotlin.math.floor

/** RGB of chroma-key green. */
const val GREEN: Int = 0xff00b140.toInt()

private const val OPAQUE = 0xff shl 24
private const val RGB = 0xffffff

/**
 * Draws effects on the CPU, for pictures; the camera's frames are drawn by the app's shader, by the
 * same formulas.
 *
 * With frame F, mask m and what is behind B, all numbers as stored and 0-255 for colours, a blended
 * pixel is `floor(m * F + (1 - m) * B + 0.5)` per colour.
 *
 * @property color `0xAARRGGBB` for [Effect.COLOR]; alpha is passed over.
 * @property background of any size for [Effect.BACKGROUND]: its middle is cropped, then resized.
 * @property strength of [Effect.BLUR]; see [BackgroundBlur].
 */
class EffectRenderer(
    private val color: Int = GREEN,
    private val background: ArgbFrame? = null,
    private val strength: Float = BackgroundBlur.STRENGTH,
) {
    /**
     * Draws an effect.
     *
     * @param frame upright.
     * @param mask of the frame's size.
     * @return a picture of the frame's size; opaque but for [Effect.CUTOUT], whose alpha is
     *   straight.
     */
    fun draw(effect: Effect, frame: ArgbFrame, mask: Mask): ArgbFrame {
        requirePair(frame, mask)
        return when (effect) {
            Effect.MASK -> each(frame, mask) { index -> grayOf(mask.values[index]) }
            Effect.CUTOUT -> each(frame, mask) { index -> withAlpha(frame, mask, index) }
            Effect.BLUR -> blurred(frame, mask)
            Effect.BACKGROUND -> before(covering(frame), frame, mask)
            Effect.COLOR -> each(frame, mask) { index ->
                blend(frame.pixels[index], color, mask.values[index])
            }
        }
    }

    private fun covering(frame: ArgbFrame): ArgbFrame {
        val picture = requireNotNull(background) { "a background picture is required" }
        return cover(picture, frame.width, frame.height)
    }

    private fun before(behind: ArgbFrame, frame: ArgbFrame, mask: Mask): ArgbFrame =
        each(frame, mask) { index ->
            blend(frame.pixels[index], behind.pixels[index], mask.values[index])
        }

    private fun blurred(frame: ArgbFrame, mask: Mask): ArgbFrame {
        val behind = BackgroundBlur(frame, mask, strength)
        val rgb = FloatArray(3)
        return each(frame, mask) { index ->
            behind.read(index % frame.width, index / frame.width, rgb)
            blend(frame.pixels[index], rgb, mask.values[index])
        }
    }

    private inline fun each(frame: ArgbFrame, mask: Mask, pixel: (Int) -> Int): ArgbFrame =
        ArgbFrame(frame.width, frame.height, IntArray(mask.values.size) { pixel(it) })
}

private fun grayOf(mask: Float): Int {
    val gray = toByte(mask * 255)
    return OPAQUE or (gray shl 16) or (gray shl 8) or gray
}

private fun withAlpha(frame: ArgbFrame, mask: Mask, index: Int): Int =
    (toByte(mask.values[index] * 255) shl 24) or (frame.pixels[index] and RGB)

private fun blend(front: Int, behind: Int, mask: Float): Int =
    OPAQUE or
        (mix(front, behind, shift = 16, mask) shl 16) or
        (mix(front, behind, shift = 8, mask) shl 8) or
        mix(front, behind, shift = 0, mask)

private fun mix(front: Int, behind: Int, shift: Int, mask: Float): Int =
    mix(front shr shift and 0xff, (behind shr shift and 0xff).toFloat(), mask)

private fun blend(front: Int, behind: FloatArray, mask: Float): Int =
    OPAQUE or
        (mix(front shr 16 and 0xff, behind[0], mask) shl 16) or
        (mix(front shr 8 and 0xff, behind[1], mask) shl 8) or
        mix(front and 0xff, behind[2], mask)

private fun mix(front: Int, behind: Float, mask: Float): Int =
    toByte(behind + mask * (front - behind))

/** Rounds half up and keeps within a byte's range. */
private fun toByte(value: Float): Int = floor(value + 0.5f).toInt().coerceIn(0, 255)
