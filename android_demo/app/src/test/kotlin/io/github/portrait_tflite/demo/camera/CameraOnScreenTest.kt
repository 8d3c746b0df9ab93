package io.github.portrait_tflite.demo.camera

import android.Manifest
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraDevice.StateCallback
import android.provider.Settings
import android.util.Size
import android.view.View
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.PortraitActivity
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.click
import io.github.portrait_tflite.demo.shows
import io.github.portrait_tflite.demo.startPortrait
import io.github.portrait_tflite.demo.text
import io.github.portrait_tflite.demo.until
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotSame
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode

private const val WIDTH = 64
private const val HEIGHT = 48

/** What the screen says while the camera is asked for, awaited, in use elsewhere, or broken. */
@RunWith(AppRunner::class)
@Config(shadows = [FilmingCameras::class, DrawnFrames::class])
@GraphicsMode(GraphicsMode.Mode.LEGACY)
class CameraOnScreenTest {
    private val context = RuntimeEnvironment.getApplication()
    private lateinit var controller: ActivityController<PortraitActivity>
    private val activity get() = controller.get()

    @Before
    fun install() = FilmingCameras.install(Size(WIDTH, HEIGHT))

    @After
    fun stop() {
        controller.pause().stop().destroy()
    }

    private fun start(allowed: Boolean = true) {
        if (allowed) shadowOf(context).grantPermissions(Manifest.permission.CAMERA)
        controller = startPortrait()
    }

    private fun untilSaid(sentence: Int) = until(context.getString(sentence)) {
        activity.shows(R.id.notice) &&
            activity.text(R.id.notice_text) == context.getString(sentence)
    }

    private fun film() {
        until("the camera") { DrawnFrames.listener != null }
        DrawnFrames.bring(DrawnImage(WIDTH, HEIGHT, light = 128))
    }

    @Test
    fun saysThatTheFirstFrameIsAwaitedUntilItIsThere() {
        start()
        untilSaid(R.string.camera_awaited)
        assertFalse(activity.shows(R.id.notice_button))
        film()
        until("the picture") { !activity.shows(R.id.notice) }
    }

    @Test
    fun saysThatAnotherAppHasTheCameraAndTriesAgain() {
        FilmingCameras.refusal = CameraAccessException(CameraAccessException.CAMERA_IN_USE)
        start()
        untilSaid(R.string.camera_in_use)
        FilmingCameras.refusal = null
        assertEquals(context.getString(R.string.camera_again), activity.text(R.id.notice_button))
        activity.click(R.id.notice_button)
        film()
        until("the picture") { !activity.shows(R.id.notice) }
        assertEquals(1, FilmingCameras.opened.size)
    }

    @Test
    fun saysThatTheCameraWasTakenAway() {
        start()
        film()
        until("the picture") { !activity.shows(R.id.notice) }
        FilmingCameras.opened.single().disconnect()
        untilSaid(R.string.camera_in_use)
        until("the end of the camera") { FilmingCameras.opened.single().isClosed }
    }

    @Test
    fun saysThatTheCameraIsBrokenAndTriesAgain() {
        start()
        until("the camera") { FilmingCameras.opened.isNotEmpty() }
        FilmingCameras.opened.single().fail(StateCallback.ERROR_CAMERA_DEVICE)
        untilSaid(R.string.camera_failed)
        activity.click(R.id.notice_button)
        untilSaid(R.string.camera_awaited)
        until("another camera") { FilmingCameras.opened.size == 2 }
    }

    @Test
    fun aPauseGivesTheCameraBackAndAResumeOpensItAnew() {
        start()
        until("the camera") { FilmingCameras.opened.size == 1 }
        controller.pause()
        until("the end of the camera") { FilmingCameras.opened[0].isClosed }
        controller.resume()
        until("another camera") { FilmingCameras.opened.size == 2 }
        assertFalse(FilmingCameras.opened[1].isClosed)
        film()
        until("the picture") { !activity.shows(R.id.notice) }
    }

    @Test
    fun saysThatThePersonIsAsked() {
        start(allowed = false)
        untilSaid(R.string.camera_asked)
        assertFalse(activity.shows(R.id.notice_button))
    }

    @Test
    fun afterARefusalTheButtonAsksAgainAndThenOpensTheSettings() {
        start(allowed = false)
        val camera = Manifest.permission.CAMERA
        activity.onRequestPermissionsResult(1, arrayOf(camera), intArrayOf(-1))
        untilSaid(R.string.camera_denied)
        shadowOf(context.packageManager).setShouldShowRequestPermissionRationale(camera, true)
        val asked = shadowOf(activity).lastRequestedPermission
        activity.click(R.id.notice_button)
        assertNotSame(asked, shadowOf(activity).lastRequestedPermission)
        shadowOf(context.packageManager).setShouldShowRequestPermissionRationale(camera, false)
        activity.click(R.id.notice_button)
        val settings = shadowOf(activity).nextStartedActivity
        assertEquals(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, settings.action)
        assertEquals("package:${context.packageName}", settings.dataString)
    }

    @Test
    fun whatIsShownInsteadOfTheCameraIsSaidToScreenReaders() {
        start()
        untilSaid(R.string.camera_awaited)
        val notice = activity.findViewById<View>(R.id.notice_text)
        assertTrue(notice.accessibilityLiveRegion == View.ACCESSIBILITY_LIVE_REGION_POLITE)
    }
}
