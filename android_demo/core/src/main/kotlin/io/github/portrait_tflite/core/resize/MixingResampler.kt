package io.github.portrait_tflite.core.resize

import io.github.portrait_tflite.core.frame.PixelRows
import io.github.portrait_tflite.core.frame.Placement
import kotlin.math.round

private const val BITS = 11 // of a share, as in OpenCV
private const val ONE = 1 shl BITS
private const val SPARE = 4 // bits given up before the second multiplication
private const val KEPT = 2 // bits left for rounding after it

/**
 * Mixes two rows of two columns in OpenCV's fixed-point arithmetic, so that the bytes are those
 * that the network was calibrated on.
 */
internal class MixingResampler(
    private val at: Placement,
    private val columns: Taps,
    private val rows: Taps,
) : RowResampler {
    /** The columns that are read: first and second in turn. */
    private val read = IntArray(2 * columns.size) {
        at.left + if (it % 2 == 0) columns.first[it / 2] else columns.second[it / 2]
    }
    private val columnShares = IntArray(columns.size) { weight(columns.share[it]) }
    private val columnRests = IntArray(columns.size) { weight(1 - columns.share[it]) }
    private val pixels = IntArray(3 * read.size)
    private val mixed = IntArray(3 * columns.size)
    private var upper = MixedRow(3 * columns.size)
    private var lower = MixedRow(3 * columns.size)

    override fun run(source: PixelRows, sink: RowSink) {
        upper.row = NONE
        lower.row = NONE
        for (row in 0 until rows.size) {
            load(source, rows.first[row], rows.second[row])
            mixRows(weight(1 - rows.share[row]), weight(rows.share[row]))
            sink.put(row, mixed)
        }
    }

    /** Enlarged pictures need a row several times; it is mixed once. */
    private fun load(source: PixelRows, first: Int, second: Int) {
        if (first == lower.row) upper = lower.also { lower = upper }
        if (first != upper.row) mixColumns(source, first, upper)
        if (second != lower.row) mixColumns(source, second, lower)
    }

    private fun mixColumns(source: PixelRows, row: Int, into: MixedRow) {
        source.read(at.top + row, read, pixels)
        for (column in 0 until columns.size) {
            val rest = columnRests[column]
            val share = columnShares[column]
            val from = 6 * column
            val to = 3 * column
            into.values[to] = pixels[from] * rest + pixels[from + 3] * share
            into.values[to + 1] = pixels[from + 1] * rest + pixels[from + 4] * share
            into.values[to + 2] = pixels[from + 2] * rest + pixels[from + 5] * share
        }
        into.row = row
    }

    private fun mixRows(rest: Int, share: Int) {
        val above = upper.values
        val below = lower.values
        for (index in mixed.indices) {
            val sum =
                (rest * (above[index] shr SPARE) shr 2 * BITS - SPARE - KEPT) +
                    (share * (below[index] shr SPARE) shr 2 * BITS - SPARE - KEPT)
            mixed[index] = sum + (1 shl KEPT - 1) shr KEPT
        }
    }

    private class MixedRow(size: Int) {
        val values = IntArray(size)
        var row = NONE
    }

    private companion object {
        const val NONE = -1

        fun weight(share: Float): Int = round((share * ONE).toDouble()).toInt()
    }
}
