package io.github.portrait_tflite.demo

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.opengl.GLSurfaceView
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.view.WindowManager
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.demo.gl.PortraitRenderer
import io.github.portrait_tflite.demo.live.Session
import io.github.portrait_tflite.demo.models.RunOption
import io.github.portrait_tflite.demo.models.ShelfEntry
import io.github.portrait_tflite.demo.picture.drawEffect
import io.github.portrait_tflite.demo.picture.pickPicture
import io.github.portrait_tflite.demo.picture.readPicture
import io.github.portrait_tflite.demo.screen.CameraStage
import io.github.portrait_tflite.demo.screen.Desk
import io.github.portrait_tflite.demo.screen.PortraitActions
import io.github.portrait_tflite.demo.screen.PortraitScreen

/** The camera, or a picture, with an effect: what a model and a delegate make of it here. */
class PortraitActivity : Activity(), PortraitActions {
    private lateinit var desk: Desk
    private lateinit var screen: PortraitScreen
    private lateinit var renderer: PortraitRenderer
    private lateinit var camera: CameraStage
    private val main = Handler(Looper.getMainLooper())
    private val session: Session get() = desk.session

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        desk = lastNonConfigurationInstance as? Desk ?: Desk.of(this)
        screen = PortraitScreen(this, this)
        camera = CameraStage(this, screen, desk)
        renderer = PortraitRenderer(resources, session.shots, session.clock, desk.look) { failure ->
            runOnUiThread { screen.showProblem(resources.sentence(failure)) }
        }
        screen.live.setEGLContextClientVersion(GLES_VERSION)
        screen.live.setRenderer(renderer)
        screen.live.renderMode = GLSurfaceView.RENDERMODE_WHEN_DIRTY
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        screen.show(desk.look.effect)
    }

    override fun onRetainNonConfigurationInstance(): Any = desk

    override fun onResume() {
        super.onResume()
        screen.live.onResume()
        renderer.resume()
        session.onChange = ::showSession
        session.onSegmented = { shot ->
            renderer.offer(shot)
            screen.live.requestRender()
            camera.seen()
        }
        session.refresh() // Shows and draws.
        showTimes()
        showSource()
    }

    override fun onPause() {
        main.removeCallbacksAndMessages(null)
        camera.stop()
        session.onChange = {}
        session.onSegmented = session.shots::give
        renderer.pause()
        screen.live.onPause()
        super.onPause()
    }

    override fun onDestroy() {
        if (!isChangingConfigurations) session.close()
        super.onDestroy()
    }

    override fun onRequestPermissionsResult(
        code: Int,
        permissions: Array<String>,
        results: IntArray,
    ) = showSource()

    override fun chooseEffect(effect: Effect) {
        desk.look = desk.look.copy(effect = effect)
        redraw()
    }

    override fun chooseOption(option: RunOption) = session.choose(option)

    override fun chooseModel(model: ShelfEntry) = session.choose(model)

    override fun useCamera() {
        desk.picture = null
        showSource()
    }

    override fun usePicture() = pickPicture(PICTURE, orElse = screen::showProblem)

    override fun useBackdrop() = pickPicture(BACKDROP, orElse = screen::showProblem)

    override fun startSelfTest() {
        val model = session.state.model?.name.orEmpty()
        val test = Intent(this, SelfTestActivity::class.java)
        startActivity(test.putExtra(SelfTestActivity.MODEL, model))
    }

    override fun onActivityResult(what: Int, code: Int, data: Intent?) {
        val uri = data?.data ?: return
        session.work({ readPicture(contentResolver, uri) }) { result ->
            result.fold({ take(what, it) }) { screen.showProblem(resources.sentence(it)) }
        }
    }

    private fun take(what: Int, picture: Bitmap) {
        if (what == PICTURE) {
            desk.picture = picture
        } else {
            desk.look = desk.look.copy(effect = Effect.BACKGROUND, backdrop = picture)
            screen.show(desk.look.effect)
        }
        showSource()
        redraw()
    }

    private fun showSession() {
        screen.show(session.state)
        if (!session.state.opening) redraw()
    }

    private fun showTimes() {
        screen.show(session.clock)
        main.postDelayed(::showTimes, TIMES_EVERY_MS)
    }

    private fun showSource() = if (desk.picture == null) camera.start() else camera.stop()

    /** Draws anew what stands still; the camera's next frame comes by itself. */
    private fun redraw() {
        renderer.look = desk.look
        screen.live.requestRender()
        val picture = desk.picture ?: return
        if (session.state.running == null) return
        val look = desk.look
        session.work({ drawEffect(it, picture, look) }) { result ->
            if (desk.picture !== picture) return@work
            result.fold(screen::showPicture) { screen.showProblem(resources.sentence(it)) }
        }
    }

    private companion object {
        const val GLES_VERSION = 3
        const val TIMES_EVERY_MS = 500L
        const val PICTURE = 1
        const val BACKDROP = 2
    }
}
