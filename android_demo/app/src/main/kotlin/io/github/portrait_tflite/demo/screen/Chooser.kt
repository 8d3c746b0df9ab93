package io.github.portrait_tflite.demo.screen

import android.view.View
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Spinner
import io.github.portrait_tflite.demo.R

/**
 * A list to choose from; what the app itself chooses is not reported as a choice. Where nothing is
 * chosen it says so in a row of its own: a spinner always shows one, and reports no row that it
 * shows already.
 */
class Chooser<T>(
    private val spinner: Spinner,
    private val label: (T) -> String,
    onChoice: (T) -> Unit,
) {
    private var rows: List<T?> = emptyList()
    private var shown: T? = null

    init {
        spinner.onItemSelectedListener =
            object : AdapterView.OnItemSelectedListener {
                override fun onItemSelected(
                    parent: AdapterView<*>?,
                    view: View?,
                    position: Int,
                    id: Long,
                ) {
                    val item = rows[position]
                    if (item == null || item == shown) return
                    shown = item
                    onChoice(item)
                }

                override fun onNothingSelected(parent: AdapterView<*>?) = Unit
            }
    }

    private fun words(item: T?): String =
        if (item == null) spinner.context.getString(R.string.choose) else label(item)

    /** Shows what there is and what of it is chosen. */
    fun show(items: List<T>, chosen: T?) {
        shown = chosen?.takeIf(items::contains)
        val rows = if (shown == null) listOf(null) + items else items
        if (rows != this.rows) {
            this.rows = rows
            spinner.adapter = ArrayAdapter(spinner.context, R.layout.choice, rows.map(::words))
        }
        spinner.setSelection(rows.indexOf(shown))
    }
}
