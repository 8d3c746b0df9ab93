package io.github.portrait_tflite.demo.camera

import io.github.portrait_tflite.core.frame.Orientation

private const val FULL_TURN = 360

/**
 * How a frame of a camera is turned to stand upright on the screen.
 *
 * @param sensorDegrees clockwise, from the sensor's picture to the device held upright.
 * @param screenDegrees how far the screen's picture is turned against the device; 0, 90, 180, 270.
 * @param front whether the camera looks at the person, who then sees a mirror.
 */
fun uprightOrientation(sensorDegrees: Int, screenDegrees: Int, front: Boolean): Orientation {
    val turn = if (front) sensorDegrees + screenDegrees else sensorDegrees - screenDegrees
    return Orientation((turn + FULL_TURN) % FULL_TURN, mirrored = front)
}
