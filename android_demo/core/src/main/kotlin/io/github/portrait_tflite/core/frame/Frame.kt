package io.github.portrait_tflite.core.frame

import java.nio.ByteBuffer

/**
 * How a frame of the sensor is turned to stand upright: first rotated clockwise, then mirrored.
 *
 * @property degrees 0, 90, 180 or 270, clockwise.
 * @property mirrored left and right are swapped, as a front camera shows itself.
 */
data class Orientation(val degrees: Int = 0, val mirrored: Boolean = false) {
    init {
        require(degrees in listOf(0, 90, 180, 270)) {
            "degrees must be 0, 90, 180 or 270. Received: $degrees."
        }
    }

    /** Width and height change places. */
    val turned: Boolean get() = degrees % 180 != 0
}

/** A picture as it comes from the sensor or a file, before it is turned upright. */
sealed interface Frame {
    /** Pixels of a row, as stored. */
    val width: Int

    /** Rows, as stored. */
    val height: Int
}

/**
 * A picture of packed pixels `0xAARRGGBB`, as `Bitmap.getPixels` gives them.
 *
 * @property pixels row by row, [width] * [height] of them; alpha is passed over.
 */
class ArgbFrame(override val width: Int, override val height: Int, val pixels: IntArray) : Frame {
    init {
        require(pixels.size >= width * height) {
            "${width * height} pixels are required for $width x $height. Received: ${pixels.size}."
        }
    }
}

/**
 * A plane of a YUV_420_888 picture, held in an array that is used again for the next frame.
 *
 * @property bytes what the plane's buffer holds.
 * @property rowStride bytes from a row to the next.
 * @property pixelStride bytes from a sample to the next.
 */
class Plane internal constructor() {
    var bytes: ByteArray = ByteArray(0)
        private set
    var rowStride: Int = 0
        private set
    var pixelStride: Int = 1
        private set

    /** Copies a plane; allocates only where it is larger than all before. */
    fun load(buffer: ByteBuffer, rowStride: Int, pixelStride: Int) {
        val source = buffer.duplicate()
        if (bytes.size < source.remaining()) bytes = ByteArray(source.remaining())
        source.get(bytes, 0, source.remaining())
        this.rowStride = rowStride
        this.pixelStride = pixelStride
    }
}

/**
 * A YUV_420_888 picture of the camera: BT.601 with the full range 0-255 (JFIF), chroma at half the
 * size. Loading it is a plain copy of memory, after which the camera's image can be closed.
 */
class YuvFrame : Frame {
    override var width: Int = 0
        private set
    override var height: Int = 0
        private set
    val y = Plane()
    val u = Plane()
    val v = Plane()

    /** Says how large the picture is whose planes are loaded next. */
    fun resize(width: Int, height: Int) {
        this.width = width
        this.height = height
    }
}
