package io.github.portrait_tflite.demo.camera

import android.graphics.ImageFormat
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.util.Size

/**
 * The camera to use.
 *
 * @property sensorDegrees see [uprightOrientation].
 */
data class CameraChoice(val id: String, val size: Size, val sensorDegrees: Int, val front: Boolean)

private const val MOST_PIXELS = 1280 * 960

/** Picks the front camera, or else the first; null where there is none that gives YUV. */
fun chooseCamera(manager: CameraManager): CameraChoice? {
    val choices = manager.cameraIdList.mapNotNull {
        describe(it, manager.getCameraCharacteristics(it))
    }
    return choices.firstOrNull { it.front } ?: choices.firstOrNull()
}

private fun describe(id: String, camera: CameraCharacteristics): CameraChoice? {
    val sizes =
        camera.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)
            ?.getOutputSizes(ImageFormat.YUV_420_888)
            ?.toList()
            .orEmpty()
    val size = chooseSize(sizes) ?: return null
    val front =
        camera.get(CameraCharacteristics.LENS_FACING) == CameraCharacteristics.LENS_FACING_FRONT
    return CameraChoice(id, size, camera.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0, front)
}

/** The largest size up to [MOST_PIXELS], or the smallest of all. */
internal fun chooseSize(sizes: List<Size>): Size? =
    sizes.filter { it.width * it.height <= MOST_PIXELS }.maxByOrNull { it.width * it.height }
        ?: sizes.minByOrNull { it.width * it.height }
