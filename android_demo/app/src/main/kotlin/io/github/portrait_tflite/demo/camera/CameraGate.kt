package io.github.portrait_tflite.demo.camera

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.provider.Settings

/** Whether the app may use the phone's camera. */
class CameraGate(private val activity: Activity) {
    /** Whether there is one at all. */
    val exists: Boolean get() = activity.packageManager.hasSystemFeature(
        PackageManager.FEATURE_CAMERA_ANY,
    )

    /** Whether the person allows it. */
    val allowed: Boolean
        get() = activity.checkSelfPermission(Manifest.permission.CAMERA) ==
            PackageManager.PERMISSION_GRANTED

    /** Asks the person. */
    fun ask() = activity.requestPermissions(arrayOf(Manifest.permission.CAMERA), REQUEST)

    /** Asks again; after a second refusal Android asks no more, and its settings are the way. */
    fun askAgain() {
        if (activity.shouldShowRequestPermissionRationale(Manifest.permission.CAMERA)) return ask()
        val app = Uri.fromParts("package", activity.packageName, null)
        activity.startActivity(Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, app))
    }

    private companion object {
        const val REQUEST = 1
    }
}
