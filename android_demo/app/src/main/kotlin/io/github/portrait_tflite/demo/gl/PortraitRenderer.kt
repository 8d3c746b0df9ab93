package io.github.portrait_tflite.demo.gl

import android.content.res.Resources
import android.opengl.GLES30
import android.opengl.GLSurfaceView
import io.github.portrait_tflite.demo.live.Newest
import io.github.portrait_tflite.demo.live.Shot
import io.github.portrait_tflite.demo.live.ShotPool
import io.github.portrait_tflite.demo.live.Stage
import io.github.portrait_tflite.demo.live.StageClock
import io.github.portrait_tflite.demo.live.msSince
import javax.microedition.khronos.egl.EGLConfig
import javax.microedition.khronos.opengles.GL10
import kotlin.math.min

/**
 * Draws the newest segmented shot, as large as the view holds it.
 *
 * @param onFailure takes what the GPU's driver says, on the GPU's thread.
 */
class PortraitRenderer(
    private val resources: Resources,
    private val shots: ShotPool,
    private val clock: StageClock,
    @Volatile var look: Look,
    private val onFailure: (GlFailure) -> Unit,
) : GLSurfaceView.Renderer {
    private val newest = Newest<Shot>()
    private var passes: EffectPasses? = null
    private var viewWidth = 0
    private var viewHeight = 0
    private var width = 0
    private var height = 0

    @Volatile
    private var open = false

    /** Begins to take shots: the view is shown. */
    fun resume() {
        open = true
    }

    /** Takes no more shots and gives back the one that waits. */
    fun pause() {
        open = false
        shots.give(newest.take())
    }

    /** Offers a shot; any thread. Ask the view to draw afterwards. */
    fun offer(shot: Shot) {
        shots.give(newest.put(shot))
        // Paused meanwhile: nobody else would give it back.
        if (!open) pause()
    }

    override fun onSurfaceCreated(gl: GL10?, config: EGLConfig?) {
        width = 0
        passes = guarded { EffectPasses(resources) }
    }

    override fun onSurfaceChanged(gl: GL10?, width: Int, height: Int) {
        viewWidth = width
        viewHeight = height
    }

    override fun onDrawFrame(gl: GL10?) {
        val start = System.nanoTime()
        val shot = newest.take()
        GLES30.glBindFramebuffer(GLES30.GL_FRAMEBUFFER, 0)
        GLES30.glClear(GLES30.GL_COLOR_BUFFER_BIT)
        guarded { draw(shot) }
        // So that the time is the GPU's and not that of handing commands over.
        GLES30.glFinish()
        if (shot != null) clock.record(Stage.EFFECT, shot.smoothingMs + msSince(start))
        shots.give(shot)
    }

    private fun draw(shot: Shot?) {
        val passes = passes ?: return
        if (shot != null) {
            passes.load(shot)
            width = shot.width
            height = shot.height
        }
        if (width == 0) return
        passes.draw(look, width, height, centred(width, height, viewWidth, viewHeight))
    }

    /** Reports a failure once and draws no more until there is a new surface. */
    private fun <T> guarded(work: () -> T): T? =
        try {
            work()
        } catch (failure: GlFailure) {
            passes = null
            onFailure(failure)
            null
        }
}

/** The largest rectangle of a picture's shape in the middle of a view. */
internal fun centred(width: Int, height: Int, viewWidth: Int, viewHeight: Int): Place {
    val scale = min(viewWidth.toDouble() / width, viewHeight.toDouble() / height)
    val (across, up) = (width * scale).toInt() to (height * scale).toInt()
    return Place((viewWidth - across) / 2, (viewHeight - up) / 2, across, up)
}
