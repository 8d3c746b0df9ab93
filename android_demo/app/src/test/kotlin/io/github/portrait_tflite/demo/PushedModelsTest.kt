package io.github.portrait_tflite.demo

import android.widget.Spinner
import io.github.portrait_tflite.demo.live.PACKAGED
import java.io.File
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.android.controller.ActivityController

private const val OF_FLOAT16 = "float16 on cpu, 1 thread"

/** Folders that are pushed to the app, before it is started and while it is there. */
@RunWith(AppRunner::class)
class PushedModelsTest {
    private val context = RuntimeEnvironment.getApplication()
    private val models = checkNotNull(context.getExternalFilesDir("models"))
    private lateinit var controller: ActivityController<PortraitActivity>
    private val activity get() = controller.get()
    private val list: Spinner get() = activity.findViewById(R.id.model)

    private fun start() {
        controller = Robolectric.buildActivity(PortraitActivity::class.java).setup()
        until("the model", ::runs)
    }

    @After
    fun stop() {
        controller.pause().stop().destroy()
    }

    private fun runs() = "Runs" in activity.text(R.id.running)

    private fun push(from: File, name: String): File {
        val folder = File(models, name)
        folder.deleteRecursively()
        from.copyRecursively(folder)
        return folder
    }

    private fun leaveAndComeBack() = controller.pause().resume()

    @Test
    fun opensOneAndSaysWhatIsWrongWithAnother() {
        push(PACKAGED, "whole")
        File(push(PACKAGED, "half"), "rgb_stretch_int8-int8.tflite").writeBytes(ByteArray(10))
        start()
        list.setSelection(1)
        until("the sentence") { activity.shows(R.id.problem) }
        assertTrue(
            activity.text(R.id.problem),
            "rgb_stretch_int8-int8.tflite" in activity.text(R.id.problem),
        )
        until("the list") { list.selectedItemPosition == 0 }
        list.setSelection(2)
        until("the pushed model") { !activity.shows(R.id.problem) && runs() }
        assertEquals("whole", list.selectedItem.toString())
    }

    @Test
    fun readsOneAnewThatWasPushedAgain() {
        start()
        push(PACKAGED, "net")
        leaveAndComeBack()
        until("the new folder") { list.adapter.count == 2 }
        list.setSelection(1)
        until("the pushed model") { runs() && list.selectedItem == "net" }
        assertTrue(OF_FLOAT16 in activity.choices(R.id.option))
        // Only int8, of another size.
        push(File("../engine/src/test/resources/nets/previous_mask_channel_uint8"), "net")
        leaveAndComeBack()
        until("the other model") { runs() && OF_FLOAT16 !in activity.choices(R.id.option) }
        assertEquals("net", list.selectedItem)
    }

    @Test
    fun oneThatBrokeCanBeChosenAgain() {
        val folder = push(PACKAGED, "net")
        start()
        list.setSelection(1)
        until("the pushed model") { runs() && list.selectedItem == "net" }
        File(folder, "model.json").writeText("{")
        leaveAndComeBack()
        until("the sentence") { activity.shows(R.id.problem) }
        assertTrue(runs())
        until("no choice") { list.selectedItem == context.getString(R.string.choose) }
        push(PACKAGED, "net")
        list.setSelection(2)
        until("the mended model") { runs() && !activity.shows(R.id.problem) }
        assertEquals("net", list.selectedItem)
    }
}
