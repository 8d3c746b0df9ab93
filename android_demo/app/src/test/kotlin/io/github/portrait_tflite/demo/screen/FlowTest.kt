package io.github.portrait_tflite.demo.screen

import android.view.View.MeasureSpec
import android.widget.Space
import io.github.portrait_tflite.demo.AppRunner
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment

@RunWith(AppRunner::class)
class FlowTest {
    private val context = RuntimeEnvironment.getApplication()

    /** Left upper corners of views of these widths and heights, and the height of all. */
    private fun placed(width: Int, vararg sizes: Pair<Int, Int>): Pair<List<Pair<Int, Int>>, Int> {
        val flow = Flow(context, Robolectric.buildAttributeSet().build())
        for ((wide, high) in sizes) {
            flow.addView(
                Space(context).apply {
                    minimumWidth = wide
                    minimumHeight = high
                },
            )
        }
        flow.measure(
            MeasureSpec.makeMeasureSpec(width, MeasureSpec.EXACTLY),
            MeasureSpec.makeMeasureSpec(0, MeasureSpec.UNSPECIFIED),
        )
        flow.layout(0, 0, flow.measuredWidth, flow.measuredHeight)
        val corners = (0 until flow.childCount).map { flow.getChildAt(it).run { left to top } }
        return corners to flow.measuredHeight
    }

    @Test
    fun viewsThatFitShareARow() {
        val (corners, height) = placed(100, 40 to 10, 60 to 20)
        assertEquals(listOf(0 to 0, 40 to 0), corners)
        assertEquals(20, height)
    }

    @Test
    fun oneThatFindsNoRoomBeginsARowBelowTheHighest() {
        val (corners, height) = placed(99, 40 to 20, 50 to 10, 60 to 10)
        assertEquals(listOf(0 to 0, 40 to 0, 0 to 20), corners)
        assertEquals(30, height)
    }
}
