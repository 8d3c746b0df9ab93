package io.github.portrait_tflite.demo.picture

import android.graphics.Bitmap
import io.github.portrait_tflite.core.effect.EffectRenderer
import io.github.portrait_tflite.core.mask.EdgeRefinement
import io.github.portrait_tflite.core.mask.MaskRestorer
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.Refusal
import io.github.portrait_tflite.demo.gl.Look
import io.github.portrait_tflite.demo.live.Workbench

/**
 * Draws an effect on a picture of the gallery, by the CPU. On the interpreter's thread.
 *
 * @throws Refusal no network is open, or the memory is full.
 */
fun drawEffect(bench: Workbench, picture: Bitmap, look: Look): Bitmap = withinMemory {
    val frame = picture.toFrame()
    val coarse = bench.segmentAlone(frame) ?: throw Refusal(R.string.model_none)
    val restored = MaskRestorer(checkNotNull(bench.spec), frame.width, frame.height).restore(coarse)
    val step = EdgeRefinement.step(frame.width, frame.height, coarse.width, coarse.height)
    val matte = EdgeRefinement(step).refine(frame, restored)
    EffectRenderer(
        look.color,
        look.backdrop.toFrame(),
    ).draw(look.effect, frame, matte).toBitmap()
}
