package io.github.portrait_tflite.core.frame

/** A frame turned upright, read row by row as RGB. */
internal interface PixelRows {
    val width: Int
    val height: Int

    /**
     * Reads the pixels of some columns of a row.
     *
     * @param columns of the upright picture.
     * @param rgb receives three numbers 0-255 for each of them.
     */
    fun read(row: Int, columns: IntArray, rgb: IntArray)
}

/** Reads packed pixels. */
internal class ArgbRows(private val frame: ArgbFrame, axes: UprightAxes) : PixelRows {
    override val width = axes.width
    override val height = axes.height
    private val columnOffsets = axes.columnOffsets(1, frame.width, halved = 0)
    private val rowOffsets = axes.rowOffsets(1, frame.width, halved = 0)

    override fun read(row: Int, columns: IntArray, rgb: IntArray) {
        val start = rowOffsets[row]
        var to = 0
        for (column in columns) {
            val pixel = frame.pixels[start + columnOffsets[column]]
            rgb[to++] = pixel shr 16 and 0xff
            rgb[to++] = pixel shr 8 and 0xff
            rgb[to++] = pixel and 0xff
        }
    }
}

/** Reads the planes of a camera's picture: BT.601 with the full range, the nearest chroma. */
internal class YuvRows(frame: YuvFrame, axes: UprightAxes) : PixelRows {
    override val width = axes.width
    override val height = axes.height
    private val y = PlaneReader(frame.y, axes, halved = 0)
    private val u = PlaneReader(frame.u, axes, halved = 1)
    private val v = PlaneReader(frame.v, axes, halved = 1)

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

/** Reads a plane's samples by upright column, a row at a time. */
private class PlaneReader(private val plane: Plane, axes: UprightAxes, halved: Int) {
    private val columns = axes.columnOffsets(plane.pixelStride, plane.rowStride, halved)
    private val rows = axes.rowOffsets(plane.pixelStride, plane.rowStride, halved)
    private var bytes = plane.bytes
    private var start = 0

    fun goTo(row: Int) {
        bytes = plane.bytes // a larger frame has a new array
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
