package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.frame.YuvFrame
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.model.ModelSpec
import java.util.concurrent.ConcurrentLinkedQueue

/**
 * A frame of the camera on its way through the app: copied, segmented, drawn, and then used again.
 *
 * One thread at a time holds it; handing it on through [Newest] or [ShotPool] publishes what was
 * written.
 */
class Shot {
    val frame = YuvFrame()
    var orientation = Orientation()
    val matte = Matte()

    /** What smoothing the mask took, in ms. */
    var smoothingMs = 0.0

    /** Width of the upright frame in pixels. */
    val width: Int get() = if (orientation.turned) frame.height else frame.width

    /** Height of the upright frame in pixels. */
    val height: Int get() = if (orientation.turned) frame.width else frame.height
}

/** The network's smoothed mask as bytes for the GPU: 255 is the person. */
class Matte {
    var width = 0
        private set
    var height = 0
        private set
    var bytes = ByteArray(0)
        private set

    /** Whose fit is to be undone; null before the first mask. */
    var spec: ModelSpec? = null
        private set

    /** Takes a mask over; allocates only where it is larger than all before. */
    fun load(mask: Mask, spec: ModelSpec) {
        width = mask.width
        height = mask.height
        this.spec = spec
        if (bytes.size < mask.values.size) bytes = ByteArray(mask.values.size)
        for (at in mask.values.indices) {
            bytes[at] =
                (mask.values[at] * WHITE + HALF).toInt().toByte()
        }
    }

    private companion object {
        const val WHITE = 255f
        const val HALF = 0.5f
    }
}

/**
 * Shots that nobody uses at present.
 *
 * @param count enough for the camera, the interpreter, the screen, and one waiting before each.
 */
class ShotPool(count: Int = 5) {
    private val free = ConcurrentLinkedQueue(List(count) { Shot() })

    /** Takes a shot; null while all are in use, when a frame of the camera is left out. */
    fun take(): Shot? = free.poll()

    /** Gives a shot back; nothing for null. */
    fun give(shot: Shot?) {
        if (shot != null) free.add(shot)
    }
}
