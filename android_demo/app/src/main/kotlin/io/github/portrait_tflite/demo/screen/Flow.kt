package io.github.portrait_tflite.demo.screen

import android.content.Context
import android.util.AttributeSet
import android.view.View
import android.view.ViewGroup

/** Views side by side, each as wide as it is; one that finds no room begins another row. */
class Flow(context: Context, attributes: AttributeSet) : ViewGroup(context, attributes) {
    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        measureChildren(widthSpec, heightSpec)
        val width = MeasureSpec.getSize(widthSpec)
        setMeasuredDimension(width, place(width) { _, _, _ -> })
    }

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        place(right - left) { view, x, y ->
            view.layout(x, y, x + view.measuredWidth, y + view.measuredHeight)
        }
    }

    /** Gives every view its place, and returns the height of all rows together. */
    private fun place(width: Int, put: (view: View, x: Int, y: Int) -> Unit): Int {
        var x = 0
        var y = 0
        var rowHeight = 0
        for (view in (0 until childCount).map(::getChildAt)) {
            if (x > 0 && x + view.measuredWidth > width) {
                x = 0
                y += rowHeight
                rowHeight = 0
            }
            put(view, x, y)
            x += view.measuredWidth
            rowHeight = maxOf(rowHeight, view.measuredHeight)
        }
        return y + rowHeight
    }
}
