package io.github.portrait_tflite.demo

import android.Manifest
import android.content.pm.PackageManager
import android.graphics.Bitmap
import android.graphics.Color
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config

/** Letters of twice the size, in the dark, on a small phone. */
@RunWith(AppRunner::class)
class LargeTextTest {
    /** The screen with the most on it: a sentence and a button in place of the camera. */
    private fun denied(): ActivityController<PortraitActivity> {
        val phone = shadowOf(RuntimeEnvironment.getApplication().packageManager)
        phone.setSystemFeature(PackageManager.FEATURE_CAMERA_ANY, true)
        val controller = startPortrait()
        val answer = intArrayOf(PackageManager.PERMISSION_DENIED)
        controller.get().onRequestPermissionsResult(1, arrayOf(Manifest.permission.CAMERA), answer)
        return controller
    }

    private fun assertDark(picture: Bitmap) {
        val corner = picture.getPixel(picture.width - 1, picture.height - 1)
        assertTrue(Integer.toHexString(corner), Color.luminance(corner) < 0.2f)
    }

    @Test
    @Config(qualifiers = "w360dp-h640dp-night-xhdpi", fontScale = 2.0f)
    fun theCameraHoldsIt() {
        val controller = denied()
        assertDark(controller.get().screenshot("dark-large"))
        assertEquals(emptyList<String>(), controller.get().cutTexts())
        controller.pause().stop().destroy()
    }

    @Test
    @Config(qualifiers = "w640dp-h360dp-land-night-xhdpi", fontScale = 2.0f)
    fun theCameraHoldsItInLandscape() {
        val controller = denied()
        assertDark(controller.get().screenshot("dark-large-landscape"))
        assertEquals(emptyList<String>(), controller.get().cutTexts())
        controller.pause().stop().destroy()
    }

    @Test
    @Config(qualifiers = "w360dp-h640dp-night-xhdpi", fontScale = 2.0f)
    fun theReportHoldsIt() {
        val controller = Robolectric.buildActivity(SelfTestActivity::class.java).setup()
        until("the end") { "Written to" in controller.get().text(R.id.report_newest) }
        assertDark(controller.get().screenshot("dark-large-report"))
        assertEquals(emptyList<String>(), controller.get().cutTexts())
        controller.pause().stop().destroy()
    }
}
