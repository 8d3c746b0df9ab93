package io.github.portrait_tflite.demo.picture

import android.graphics.Bitmap
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.Refusal
import io.github.portrait_tflite.demo.gl.Look
import io.github.portrait_tflite.demo.live.StageClock
import io.github.portrait_tflite.demo.live.Workbench
import io.github.portrait_tflite.demo.live.packagedCard
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.models.runOptions
import io.github.portrait_tflite.demo.phone.engine
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

@RunWith(AppRunner::class)
class PictureEffectTest {
    private val context = RuntimeEnvironment.getApplication()
    private val picture = Bitmap.createBitmap(8, 8, Bitmap.Config.ARGB_8888)
    private val look = Look(Effect.BLUR, defaultBackdrop())

    private fun refused(bench: Workbench): String =
        assertThrows(Refusal::class.java) { drawEffect(bench, picture, look) }
            .sentence(context.resources)

    @Test
    fun withoutAModelThereIsNoEffect() {
        val sentence = refused(Workbench(engine(), StageClock()))
        assertEquals(context.getString(R.string.model_none), sentence)
    }

    @Test
    fun aMemoryThatIsFullIsAboutThePicture() {
        val full = SegmenterFactory { variant, choice -> Full(engine().open(variant, choice)) }
        val card = packagedCard()
        Workbench(full, StageClock()).use { bench ->
            bench.open(ModelShelf(context).find("").source, card, runOptions(card).first())
            assertEquals(context.getString(R.string.picture_too_large), refused(bench))
        }
    }

    private class Full(inner: Segmenter) : Segmenter by inner {
        override fun run() = throw OutOfMemoryError("heap")
    }
}
