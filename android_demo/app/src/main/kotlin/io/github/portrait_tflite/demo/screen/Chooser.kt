package io.github.portrait_tflite.demo.screen

import android.view.View
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Spinner
import io.github.portrait_tflite.demo.R

/** A list to choose from; what the app itself chooses is not reported as a choice. */
class Chooser<T>(
    private val spinner: Spinner,
    private val label: (T) -> String,
    onChoice: (T) -> Unit,
) {
    private var items: List<T> = emptyList()
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
                    val item = items[position]
                    if (item == shown) return
                    shown = item
                    onChoice(item)
                }

                override fun onNothingSelected(parent: AdapterView<*>?) = Unit
            }
    }

    /** Shows what there is and what of it is chosen. */
    fun show(items: List<T>, chosen: T?) {
        if (items != this.items) {
            this.items = items
            spinner.adapter = ArrayAdapter(spinner.context, R.layout.choice, items.map(label))
        }
        shown = chosen
        val at = items.indexOf(chosen)
        if (at >= 0) spinner.setSelection(at)
    }
}
