package io.github.portrait_tflite.demo.camera

import android.content.Context
import android.content.pm.PackageManager
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.PortraitActivity
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.shows
import io.github.portrait_tflite.demo.text
import io.github.portrait_tflite.demo.until
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.shadows.ShadowCameraManager

/** What Camera2 throws is no camera, and no crash. */
@RunWith(AppRunner::class)
@Config(shadows = [ThrowingCameras::class])
class CameraChoiceTest {
    private val context = RuntimeEnvironment.getApplication()
    private val manager =
        context.getSystemService(Context.CAMERA_SERVICE) as CameraManager

    @Test
    fun aListThatCannotBeReadIsNoCamera() {
        for (error in FAILURES) {
            ThrowingCameras.listing = error
            assertNull("$error", chooseCamera(manager))
        }
    }

    @Test
    fun aCameraThatDoesNotTellOfItselfIsNone() {
        for (error in FAILURES) {
            ThrowingCameras.listing = null
            ThrowingCameras.describing = error
            assertNull("$error", chooseCamera(manager))
        }
    }

    @Test
    fun theScreenSaysThatThereIsNone() {
        ThrowingCameras.listing = SecurityException("a policy")
        shadowOf(context.packageManager).setSystemFeature(PackageManager.FEATURE_CAMERA_ANY, true)
        shadowOf(context).grantPermissions(android.Manifest.permission.CAMERA)
        val controller = Robolectric.buildActivity(PortraitActivity::class.java).setup()
        until("the notice") { controller.get().shows(R.id.notice) }
        val none = context.getString(R.string.camera_none)
        assertEquals(none, controller.get().text(R.id.notice_text))
        controller.pause().stop().destroy()
    }

    private companion object {
        val FAILURES =
            listOf(
                CameraAccessException(CameraAccessException.CAMERA_DISABLED),
                IllegalArgumentException("unplugged"),
                SecurityException("a policy"),
                IllegalStateException("the vendor's"),
            )
    }
}

/** Cameras that throw when asked. */
@Implements(CameraManager::class)
class ThrowingCameras : ShadowCameraManager() {
    @Implementation
    override fun getCameraIdList(): Array<String> = listing?.let { throw it } ?: arrayOf("0")

    @Implementation
    override fun getCameraCharacteristics(id: String): CameraCharacteristics =
        throw checkNotNull(describing)

    companion object {
        /** What listing them throws; null for nothing. */
        var listing: Exception? = null

        /** What asking for one throws. */
        var describing: Exception? = null
    }
}
