package io.github.portrait_tflite.core.resize

import io.github.portrait_tflite.core.frame.PixelRows
import io.github.portrait_tflite.core.frame.Placement
import kotlin.math.round

/** Averages all source pixels that a pixel of a reduced picture covers. */
internal class AreaResampler(private val at: Placement) : RowResampler {
    private val columns = AreaTaps.of(at.width, at.innerWidth)
    private val rows = AreaTaps.of(at.height, at.innerHeight)
    private val read = IntArray(columns.sources.size) { at.left + columns.sources[it] }
    private val pixels = IntArray(3 * read.size)
    private val sums = FloatArray(3 * columns.size)
    private val averages = IntArray(3 * columns.size)

    override fun run(source: PixelRows, sink: RowSink) {
        for (row in 0 until rows.size) {
            sums.fill(0f)
            for (tap in rows.start[row] until rows.start[row + 1]) {
                source.read(at.top + rows.sources[tap], read, pixels)
                addRow(rows.weights[tap])
            }
            for (index in sums.indices) averages[index] = round(sums[index].toDouble()).toInt()
            sink.put(row, averages)
        }
    }

    private fun addRow(weight: Float) {
        for (column in 0 until columns.size) {
            for (tap in columns.start[column] until columns.start[column + 1]) {
                val share = columns.weights[tap] * weight
                for (colour in 0 until 3) {
                    sums[3 * column + colour] += pixels[3 * tap + colour] * share
                }
            }
        }
    }
}
