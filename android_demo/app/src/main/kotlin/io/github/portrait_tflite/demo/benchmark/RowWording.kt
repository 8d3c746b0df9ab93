package io.github.portrait_tflite.demo.benchmark

import android.content.res.Resources
import io.github.portrait_tflite.core.measure.BenchmarkRow
import io.github.portrait_tflite.core.measure.SelfTestRow
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.demo.R

/** Rows of results as lines for the screen. */
class RowWording(private val resources: Resources) {
    /** A golden case on a delegate, or why there is none. */
    fun row(row: SelfTestRow): String {
        val what =
            row.golden?.let {
                resources.getString(R.string.row_golden, row.variant, row.delegate.json, it)
            } ?: resources.getString(R.string.row_delegate, row.variant, row.delegate.json)
        if (row.error.isNotEmpty()) return resources.getString(R.string.row_wrong, what, row.error)
        if (row.unavailable.isNotEmpty()) {
            return resources.getString(R.string.row_absent, what, row.unavailable)
        }
        val verdict =
            when (row.passed) {
                true -> R.string.row_passed
                false -> R.string.row_failed
                null -> R.string.row_unpromised
            }
        return resources.getString(verdict, what, row.iou, row.maxStep)
    }

    /** A cell's latency, or why there is none. */
    fun row(row: BenchmarkRow): String {
        val choice = DelegateChoice(row.delegate, row.threads).toString()
        val what = resources.getString(R.string.row_delegate, row.variant, choice)
        val fault = row.error.ifEmpty { row.unavailable }
        val latency = row.latencyMs ?: return resources.getString(R.string.row_fault, what, fault)
        return resources.getString(R.string.row_latency, what, latency.median, latency.p90)
    }
}
