package io.github.portrait_tflite.core.frame

/**
 * Where the columns and rows of an upright picture lie in the frame as stored.
 *
 * Rotation by quarters and mirroring keep columns and rows apart, so that the place of a sample is
 * the sum of a number for its column and one for its row: tables, no arithmetic per pixel.
 */
internal class UprightAxes(frame: Frame, private val orientation: Orientation) {
    /** Of the upright picture. */
    val width: Int = if (orientation.turned) frame.height else frame.width

    /** Of the upright picture. */
    val height: Int = if (orientation.turned) frame.width else frame.height

    /** By upright column: the stored column, or the stored row where the picture is turned. */
    private val columns = IntArray(width) { x ->
        val along = if (orientation.mirrored) width - 1 - x else x
        if (orientation.degrees == 90 || orientation.degrees == 180) width - 1 - along else along
    }

    /** By upright row: the stored row, or the stored column where the picture is turned. */
    private val rows = IntArray(height) { y ->
        if (orientation.degrees >= 180) height - 1 - y else y
    }

    /**
     * By upright column: how far its samples lie from a row's beginning.
     *
     * @param halved log2 of how many pixels share a sample along each side: 1 for chroma.
     */
    fun columnOffsets(pixelStride: Int, rowStride: Int, halved: Int): IntArray {
        val stride = if (orientation.turned) rowStride else pixelStride
        return IntArray(width) { (columns[it] shr halved) * stride }
    }

    /** By upright row: how far its samples lie from a column's beginning. */
    fun rowOffsets(pixelStride: Int, rowStride: Int, halved: Int): IntArray {
        val stride = if (orientation.turned) pixelStride else rowStride
        return IntArray(height) { (rows[it] shr halved) * stride }
    }
}
