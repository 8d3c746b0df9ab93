package io.github.portrait_tflite.demo.benchmark

import android.graphics.ImageFormat
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.util.Size
import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.measure.Benchmark
import io.github.portrait_tflite.core.measure.BenchmarkRow
import io.github.portrait_tflite.core.measure.Effort
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.gl.CountedEgl
import io.github.portrait_tflite.demo.gl.GlFailure
import io.github.portrait_tflite.demo.gl.RefusingGles
import io.github.portrait_tflite.demo.live.packagedCard
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.phone.PhoneState
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.sentence
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.robolectric.shadows.StreamConfigurationMapBuilder

/** Stage times: a driver that fails costs them and nothing else. */
@RunWith(AppRunner::class)
@Config(shadows = [CountedEgl::class])
class CameraStagesTest {
    private val context = RuntimeEnvironment.getApplication()
    private val spec = packagedCard().variants.getValue("float16").spec

    @Before
    fun reset() = CountedEgl.reset()

    private fun open() = CameraStages.open(context, spec)

    /** Two cells of the packaged model on the real interpreter. */
    private fun cells(): List<BenchmarkRow> {
        val choices = listOf(1, 2).map { DelegateChoice(DelegateKind.XNNPACK, it) }
        val source = ModelShelf(context).find("").source
        val words = context.resources::sentence
        return Benchmark(source, packagedCard(), engine(), PhoneState(context), words) {
            CameraStages.open(context, it.spec)
        }.run(listOf("float16"), choices, Effort(3, seconds = 0.0, coolDownSeconds = 0.0))
    }

    @Test
    fun everyCellHasStageTimesAndAContextOfItsOwn() {
        val rows = cells()
        assertTrue("$rows", rows.all { it.frameMs?.effect != null && it.frameMs?.camera != null })
        val remark = context.getString(R.string.frames_without_camera, 640, 480)
        assertTrue("$rows", rows.all { remark in it.warnings })
        assertEquals(2, CountedEgl.made)
        assertEquals(emptySet<Any>(), CountedEgl.open)
    }

    @Test
    @Config(shadows = [CountedEgl::class, RefusingGles::class])
    fun aDriverThatCompilesNothingLeavesAWarningAndNoContext() {
        for (row in cells()) {
            assertNull(row.frameMs)
            val warning = row.warnings.single { it.startsWith("no stage times: ") }
            assertTrue(warning, "compile our shader is required. Received: out of reg" in warning)
            assertEquals(3, row.runs)
            assertEquals("", row.error + row.unavailable)
        }
        assertEquals(2, CountedEgl.made)
        assertEquals(emptySet<Any>(), CountedEgl.open)
    }

    @Test
    fun framesAreOfTheSizeThatTheAppTakesFromTheCamera() {
        addCamera(Size(1920, 1080), Size(1280, 720), Size(320, 240))
        open().use {
            val frame = it.camera()
            assertEquals(listOf(1280, 720), listOf(frame.width, frame.height))
            assertEquals(Orientation(90), it.orientation)
            assertEquals(context.getString(R.string.frames, 1280, 720), it.remark)
        }
    }

    /** Gives the phone a back camera whose sensor lies on its side, as most do. */
    private fun addCamera(vararg sizes: Size) {
        val map = StreamConfigurationMapBuilder.newBuilder()
        sizes.forEach { map.addOutputSize(ImageFormat.YUV_420_888, it) }
        val camera = ShadowCameraCharacteristics.newCameraCharacteristics()
        val shadow = Shadow.extract<ShadowCameraCharacteristics>(camera)
        shadow.set(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP, map.build())
        shadow.set(CameraCharacteristics.LENS_FACING, CameraCharacteristics.LENS_FACING_BACK)
        shadow.set(CameraCharacteristics.SENSOR_ORIENTATION, 90)
        shadowOf(context.getSystemService(CameraManager::class.java)).addCamera("0", camera)
    }

    @Test
    fun aContextThatCannotBeCurrentIsFreed() {
        CountedEgl.willing = false
        val failure = assertThrows(GlFailure::class.java) { open() }
        assertTrue("OpenGL ES 3" in failure.sentence(context.resources))
        assertEquals(1, CountedEgl.made)
        assertEquals(emptySet<Any>(), CountedEgl.open)
    }

    @Test
    fun theContextOfADelegateIsGivenBack() {
        val delegates = CountedEgl.context(99)
        CountedEgl.current = delegates
        open().use {
            assertEquals(delegates, CountedEgl.current)
            it.camera()
            it.effect(ArgbFrame(1, 1, IntArray(1)), Mask(spec.width, spec.height))
            assertEquals(delegates, CountedEgl.current)
        }
    }
}
