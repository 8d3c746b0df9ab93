package io.github.portrait_tflite.core.effect

import kotlin.math.ceil
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min

private const val REACH = 3 // taps to each side, in standard deviations

/** Convolves with a Gaussian of [sigma] cells whose taps sum up to 1; outside are zeros. */
internal class GaussianBlur(sigma: Double) {
    private val reach = ceil(REACH * sigma).toInt()
    private val taps: FloatArray

    init {
        val raw = DoubleArray(2 * reach + 1) { gauss((it - reach) / sigma) }
        val sum = raw.sum()
        taps = FloatArray(raw.size) { (raw[it] / sum).toFloat() }
    }

    /** Blurs [cells] in place: row by row, [layers] numbers each. */
    fun run(cells: FloatArray, columns: Int, rows: Int, layers: Int) {
        for (row in 0 until rows) {
            for (layer in 0 until layers) {
                line(cells, row * columns * layers + layer, layers, columns)
            }
        }
        for (column in 0 until columns) {
            for (layer in 0 until layers) {
                line(cells, column * layers + layer, columns * layers, rows)
            }
        }
    }

    private fun line(cells: FloatArray, start: Int, step: Int, count: Int) {
        val source = FloatArray(count) { cells[start + it * step] }
        for (index in 0 until count) {
            var sum = 0f
            for (other in max(0, index - reach)..min(count - 1, index + reach)) {
                sum += taps[other - index + reach] * source[other]
            }
            cells[start + index * step] = sum
        }
    }

    private fun gauss(sigmas: Double): Double = exp(-sigmas * sigmas / 2)
}
