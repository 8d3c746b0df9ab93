package io.github.portrait_tflite.demo.benchmark

import android.content.Context
import android.hardware.camera2.CameraManager
import android.opengl.GLES30
import android.util.Size
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.core.frame.Frame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.mask.TemporalSmoothing
import io.github.portrait_tflite.core.measure.FrameStages
import io.github.portrait_tflite.core.model.ModelSpec
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.camera.CameraChoice
import io.github.portrait_tflite.demo.camera.chooseCamera
import io.github.portrait_tflite.demo.camera.uprightOrientation
import io.github.portrait_tflite.demo.gl.EffectPasses
import io.github.portrait_tflite.demo.gl.Look
import io.github.portrait_tflite.demo.gl.OffscreenContext
import io.github.portrait_tflite.demo.gl.Place
import io.github.portrait_tflite.demo.live.Shot
import io.github.portrait_tflite.demo.picture.defaultBackdrop
import java.nio.ByteBuffer

private const val NEUTRAL: Byte = -128 // 128: no colour
private const val CHROMA_STRIDE = 2 // as most cameras lay it out

/**
 * The stages of a live frame, at the size that the app takes from this phone's camera, without the
 * camera itself: a drawn frame is copied as the camera's are, and the blur is drawn off the screen.
 *
 * @param spec of the variant whose masks are shown.
 * @param size of a frame as the camera gives it.
 * @param offscreen is closed with this.
 */
class CameraStages private constructor(
    context: Context,
    private val spec: ModelSpec,
    private val size: Size,
    override val orientation: Orientation,
    override val remark: String,
    private val offscreen: OffscreenContext,
) : FrameStages {
    private val shot = Shot()
    private val smoothing = TemporalSmoothing()
    private val luma = ByteBuffer.allocateDirect(size.width * size.height)
    private val chroma = ByteBuffer.allocateDirect(size.width * size.height / 2)
    private val passes = offscreen.run { EffectPasses(context.resources) }
    private val look = Look(Effect.BLUR, defaultBackdrop())

    init {
        for (at in 0 until luma.capacity()) {
            luma.put(at, (at % size.width * 255 / size.width).toByte())
        }
        for (at in 0 until chroma.capacity()) chroma.put(at, NEUTRAL)
    }

    override fun camera(): Frame {
        shot.orientation = orientation
        shot.frame.resize(size.width, size.height)
        shot.frame.y.load(luma, size.width, 1)
        shot.frame.u.load(chroma, size.width, CHROMA_STRIDE)
        shot.frame.v.load(chroma, size.width, CHROMA_STRIDE)
        return shot.frame
    }

    override fun effect(frame: Frame, mask: Mask) {
        smoothing.smooth(mask)
        shot.matte.load(mask, spec)
        offscreen.run {
            passes.load(shot)
            passes.draw(look, shot.width, shot.height, Place(0, 0, size.width, size.height))
            GLES30.glFinish()
        }
    }

    override fun close() = offscreen.close()

    companion object {
        private val WITHOUT_CAMERA =
            CameraChoice("", Size(640, 480), sensorDegrees = 270, front = true)

        /**
         * Makes them.
         *
         * @throws io.github.portrait_tflite.demo.gl.GlFailure nothing can be drawn off the screen.
         */
        fun open(context: Context, spec: ModelSpec): CameraStages {
            val cameras = context.getSystemService(CameraManager::class.java)
            val found = cameras?.let(::chooseCamera)
            val camera = found ?: WITHOUT_CAMERA
            val turn = uprightOrientation(camera.sensorDegrees, screenDegrees = 0, camera.front)
            val text = if (found == null) R.string.frames_without_camera else R.string.frames
            val remark = context.getString(text, camera.size.width, camera.size.height)
            val offscreen = OffscreenContext(camera.size.width, camera.size.height)
            return try {
                CameraStages(context, spec, camera.size, turn, remark, offscreen)
            } catch (error: Throwable) {
                offscreen.close()
                throw error
            }
        }
    }
}
