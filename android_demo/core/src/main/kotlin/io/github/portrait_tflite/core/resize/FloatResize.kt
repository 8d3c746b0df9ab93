package io.github.portrait_tflite.core.resize

/**
 * Resizes planes of floats bilinearly, as OpenCV's INTER_LINEAR.
 *
 * @property sourceWidth of the region that is read.
 * @property sourceHeight of the region that is read.
 */
internal class FloatResize(
    private val sourceWidth: Int,
    private val sourceHeight: Int,
    private val width: Int,
    private val height: Int,
) {
    private val columns = Taps.bilinear(sourceWidth, width)
    private val rows = Taps.bilinear(sourceHeight, height)
    private val upper = FloatArray(width)
    private val lower = FloatArray(width)

    /** Whether it is for planes of this size. */
    fun reads(width: Int, height: Int) = sourceWidth == width && sourceHeight == height

    /** Resizes a region of [source] into a region of [target]. */
    fun run(source: FloatRegion, target: FloatRegion) {
        for (row in 0 until height) {
            mixRow(source, rows.first[row], upper)
            mixRow(source, rows.second[row], lower)
            val share = rows.share[row]
            var at = target.start(row)
            for (column in 0 until width) {
                target.values[at++] = upper[column] * (1 - share) + lower[column] * share
            }
        }
    }

    private fun mixRow(source: FloatRegion, row: Int, into: FloatArray) {
        val start = source.start(row)
        for (column in 0 until width) {
            val share = columns.share[column]
            into[column] =
                source.values[start + columns.first[column]] * (1 - share) +
                source.values[start + columns.second[column]] * share
        }
    }
}

/**
 * A rectangle in a plane of floats.
 *
 * @property stride floats from a row to the next.
 * @property offset of the rectangle's first value.
 */
internal class FloatRegion(val values: FloatArray, val stride: Int, val offset: Int = 0) {
    /** Where a row of the rectangle begins. */
    fun start(row: Int): Int = offset + row * stride
}
