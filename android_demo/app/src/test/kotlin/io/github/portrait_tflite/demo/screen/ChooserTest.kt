package io.github.portrait_tflite.demo.screen

import android.app.Activity
import android.os.Looper
import android.widget.Spinner
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.R
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf

/** What a person chooses is told, what the app chooses is not, and nothing can be chosen, too. */
@RunWith(AppRunner::class)
class ChooserTest {
    private val activity = Robolectric.buildActivity(Activity::class.java).setup().get()
    private val spinner = Spinner(activity).also(activity::setContentView)
    private val told = ArrayList<Int>()
    private val chooser = Chooser<Int>(spinner, { "number $it" }) { told += it }

    private fun show(items: List<Int>, chosen: Int?): String {
        chooser.show(items, chosen)
        return settled()
    }

    private fun settled(): String {
        shadowOf(Looper.getMainLooper()).idle()
        return spinner.selectedItem.toString()
    }

    private fun choose(row: Int): String {
        spinner.setSelection(row)
        return settled()
    }

    @Test
    fun whatTheAppChoosesIsNotTold() {
        assertEquals("number 2", show(listOf(1, 2), 2))
        assertEquals("number 1", show(listOf(1, 2), 1))
        assertEquals("number 3", show(listOf(1, 2, 3), 3))
        assertEquals(emptyList<Int>(), told)
        choose(0)
        assertEquals(listOf(1), told)
    }

    @Test
    fun whereNothingIsChosenItSaysSoAndTellsNothing() {
        assertEquals(activity.getString(R.string.choose), show(listOf(1, 2), null))
        assertEquals(emptyList<Int>(), told)
    }

    @Test
    fun whatFailedCanBeChosenAgain() {
        show(listOf(1, 2), 2)
        repeat(2) {
            show(listOf(1, 2), null)
            assertEquals("number 2", choose(2))
        }
        assertEquals(listOf(2, 2), told)
        assertEquals("number 2", show(listOf(1, 2), 2))
    }

    @Test
    fun aChoiceThatIsGoneIsNone() {
        show(listOf(1, 2), 2)
        assertEquals(activity.getString(R.string.choose), show(listOf(1, 3), 2))
        assertEquals(emptyList<Int>(), told)
    }
}
