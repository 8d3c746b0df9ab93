package io.github.portrait_tflite.core.frame

/** Frames of one layout turned upright, read row by row as RGB. */
internal interface PixelRows {
    val width: Int
    val height: Int

    /** Says which frame is read from now on; it has the layout that this was made for. */
    fun show(frame: Frame)

    /**
     * Reads the pixels of some columns of a row.
     *
     * @param columns of the upright picture.
     * @param rgb receives three numbers 0-255 for each of them.
     */
    fun read(row: Int, columns: IntArray, rgb: IntArray)
}

/** Reads packed pixels; [stride] is how many lie from a row to the next. */
internal class ArgbRows(stride: Int, axes: UprightAxes) : PixelRows {
    override val width = axes.width
    override val height = axes.height
    private val columnOffsets = axes.columnOffsets(1, stride, halved = 0)
    private val rowOffsets = axes.rowOffsets(1, stride, halved = 0)
    private var pixels = IntArray(0)

    override fun show(frame: Frame) {
        pixels = (frame as ArgbFrame).pixels
    }

    override fun read(row: Int, columns: IntArray, rgb: IntArray) {
        val start = rowOffsets[row]
        var to = 0
        for (column in columns) {
            val pixel = pixels[start + columnOffsets[column]]
            rgb[to++] = pixel shr 16 and 0xff
            rgb[to++] = pixel shr 8 and 0xff
            rgb[to++] = pixel and 0xff
        }
    }
}

/** Reads the planes of a camera's picture: BT.601 with the full range, the nearest chroma. */
internal class YuvRows(alike: YuvFrame, axes: UprightAxes) : PixelRows {
    override val width = axes.width
    override val height = axes.height
    private val y = PlaneReader(alike.y, axes, halved = 0)
    private val u = PlaneReader(alike.u, axes, halved = 1)
    private val v = PlaneReader(alike.v, axes, halved = 1)

    override fun show(frame: Frame) {
        frame as YuvFrame
        y.show(frame.y)
        u.show(frame.u)
        v.show(frame.v)
    }

    override fun read(row: Int, columns: IntArray, rgb: IntArray) {
        y.goTo(row)
        u.goTo(row)
        v.goTo(row)
        var to = 0
        for (column in columns) {
            val luma = (y.sample(column) shl BITS) + HALF
            val blue = u.sample(column) - NEUTRAL
            val red = v.sample(column) - NEUTRAL
            rgb[to++] = clampByte(luma + RED_OF_V * red shr BITS)
            rgb[to++] = clampByte(luma - GREEN_OF_U * blue - GREEN_OF_V * red shr BITS)
            rgb[to++] = clampByte(luma + BLUE_OF_U * blue shr BITS)
        }
    }

    private companion object {
        // BT.601's factors (1.402, 0.344136, 0.714136, 1.772) in units of 2^-16.
        const val BITS = 16
        const val HALF = 1 shl BITS - 1
        const val RED_OF_V = 91881
        const val GREEN_OF_U = 22553
        const val GREEN_OF_V = 46802
        const val BLUE_OF_U = 116130
        const val NEUTRAL = 128
    }
}

/** Reads the samples of planes that are laid out like [alike], by upright column. */
private class PlaneReader(alike: Plane, axes: UprightAxes, halved: Int) {
    private val columns = axes.columnOffsets(alike.pixelStride, alike.rowStride, halved)
    private val rows = axes.rowOffsets(alike.pixelStride, alike.rowStride, halved)
    private var bytes = alike.bytes
    private var start = 0

    fun show(plane: Plane) {
        bytes = plane.bytes
    }

    fun goTo(row: Int) {
        start = rows[row]
    }

    fun sample(column: Int): Int = bytes[start + columns[column]].toInt() and 0xff
}

/** Keeps a number within a byte's range. */
internal fun clampByte(value: Int): Int = if (value < 0) {
    0
} else if (value > 255) {
    255
} else {
    value
}
