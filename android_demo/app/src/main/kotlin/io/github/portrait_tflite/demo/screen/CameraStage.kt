package io.github.portrait_tflite.demo.screen

import android.app.Activity
import android.hardware.camera2.CameraManager
import android.hardware.display.DisplayManager
import android.view.Display
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.camera.CameraFeed
import io.github.portrait_tflite.demo.camera.CameraGate
import io.github.portrait_tflite.demo.camera.CameraOutput
import io.github.portrait_tflite.demo.camera.CameraProblem

/** The camera on the screen, or the sentence that says why there is none. */
class CameraStage(
    private val activity: Activity,
    private val screen: PortraitScreen,
    private val desk: Desk,
) {
    private val gate = CameraGate(activity)
    private var feed: CameraFeed? = null

    /** Whether the screen says that the first frame is awaited. */
    @Volatile
    private var awaiting = false

    /** Shows the camera; asks for it the first time. */
    fun start() {
        if (feed != null) return
        screen.showLive()
        when {
            !gate.exists -> screen.showNotice(R.string.camera_none)
            gate.allowed -> open()
            desk.asked ->
                screen.showNotice(R.string.camera_denied, R.string.camera_allow, gate::askAgain)
            else -> {
                desk.asked = true
                screen.showNotice(R.string.camera_asked)
                gate.ask()
            }
        }
    }

    /** Gives the camera back. */
    fun stop() {
        endWaiting()
        feed?.close()
        feed = null
    }

    /** A frame came through the network. Any thread. */
    fun seen() {
        if (awaiting) activity.runOnUiThread(::endWaiting)
    }

    private fun endWaiting() {
        if (!awaiting) return // Stopped meanwhile, and the screen says something else.
        awaiting = false
        screen.showLive()
    }

    private fun open() {
        val session = desk.session
        session.forget()
        awaiting = true
        screen.showNotice(R.string.camera_awaited)
        val screens = activity.getSystemService(DisplayManager::class.java)
        val output =
            CameraOutput(
                session.shots,
                session.clock,
                { screens.getDisplay(Display.DEFAULT_DISPLAY).rotation * QUARTER },
                session::submit,
            ) { problem -> activity.runOnUiThread { tell(problem) } }
        feed = CameraFeed.open(activity.getSystemService(CameraManager::class.java), output)
    }

    private fun tell(problem: CameraProblem) {
        stop()
        if (desk.picture != null) return
        val again = R.string.camera_again
        when (problem) {
            CameraProblem.NONE_FOUND -> screen.showNotice(R.string.camera_none)
            CameraProblem.IN_USE -> screen.showNotice(R.string.camera_in_use, again, ::start)
            CameraProblem.FAILED -> screen.showNotice(R.string.camera_failed, again, ::start)
        }
    }

    private companion object {
        const val QUARTER = 90
    }
}
