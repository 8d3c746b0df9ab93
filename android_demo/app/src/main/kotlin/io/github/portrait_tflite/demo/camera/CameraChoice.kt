package io.github.portrait_tflite.demo.camera

import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
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

/** Picks the front camera, or else the first; null where none gives YUV, or tells of itself. */
fun chooseCamera(manager: CameraManager): CameraChoice? {
    val ids = orNull { manager.cameraIdList }.orEmpty()
    val choices = ids.mapNotNull { id ->
        orNull { manager.getCameraCharacteristics(id) }?.let { describe(id, it) }
    }
    return choices.firstOrNull { it.front } ?: choices.firstOrNull()
}

/**
 * What Camera2 answers; null where it throws: beside its CameraAccessException, an
 * IllegalArgumentException for a camera that was unplugged, a SecurityException where a policy
 * forbids it, and from some vendors whatever else.
 */
private fun <T> orNull(ask: () -> T): T? =
    try {
        ask()
    } catch (_: CameraAccessException) {
        null
    } catch (_: RuntimeException) {
        null
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
