package io.github.portrait_tflite.demo

import android.os.Looper
import android.widget.Spinner
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.demo.screen.Desk
import java.io.File
import java.util.concurrent.atomic.AtomicBoolean
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

/** The model that the APK carries, as a person sees it: any model, so nothing is said of masks. */
@RunWith(AppRunner::class)
class CarriedModelTest {
    private val carried = File("src/main/assets/portrait")

    @Test
    fun drawsItsGoldenPicture() {
        val models = RuntimeEnvironment.getApplication().getExternalFilesDir("models")
        carried.copyRecursively(File(models, "carried"))
        val controller = Robolectric.buildActivity(PortraitActivity::class.java).setup()
        val activity = controller.get()
        until("the model") { "Runs" in activity.text(R.id.running) }
        activity.findViewById<Spinner>(R.id.model).setSelection(1)
        activity.untilAnswered()
        assertEquals("carried", desk(activity).session.state.model?.name)
        activity.pick(File(carried, "golden-0.png").readBytes())
        until("the picture") { activity.shows(R.id.picture) }
        for (effect in Effect.entries) {
            activity.findViewById<Spinner>(R.id.effect).setSelection(effect.ordinal)
            activity.untilAnswered()
            activity.screenshot("picture-${effect.json}")
            assertFalse(activity.text(R.id.problem), activity.shows(R.id.problem))
            assertTrue(activity.text(R.id.running), "Runs" in activity.text(R.id.running))
        }
        controller.pause().stop().destroy()
    }

    /** Waits until the lists have told what was chosen, and the interpreter has done it. */
    private fun PortraitActivity.untilAnswered() {
        shadowOf(Looper.getMainLooper()).idle()
        val answered = AtomicBoolean()
        desk(this).session.work({}) { answered.set(true) }
        until("the interpreter") { answered.get() }
    }

    private fun desk(activity: PortraitActivity) =
        activity.onRetainNonConfigurationInstance() as Desk
}
