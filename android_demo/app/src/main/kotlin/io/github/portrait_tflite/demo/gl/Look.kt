package io.github.portrait_tflite.demo.gl

import android.graphics.Bitmap
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.core.effect.GREEN

/**
 * What is to be drawn.
 *
 * @property backdrop behind the person for [Effect.BACKGROUND].
 * @property color `0xAARRGGBB` behind the person for [Effect.COLOR].
 */
data class Look(val effect: Effect, val backdrop: Bitmap, val color: Int = GREEN)
