package io.github.portrait_tflite.demo

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Rect
import android.graphics.drawable.BitmapDrawable
import android.net.Uri
import android.os.Looper
import android.view.View
import android.widget.ImageView
import android.widget.Spinner
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.demo.live.PACKAGED
import io.github.portrait_tflite.demo.screen.Desk
import java.io.ByteArrayInputStream
import java.io.File
import java.io.InputStream
import java.util.concurrent.TimeUnit
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController

/** Pictures of the gallery: in place of the camera, and behind the person. */
@RunWith(AppRunner::class)
class GalleryTest {
    private val context = RuntimeEnvironment.getApplication()
    private val controller: ActivityController<PortraitActivity> = startPortrait()
    private val activity = controller.get()

    @After
    fun stop() {
        controller.pause().stop().destroy()
    }

    /** Clicks, and chooses what [read] gives. */
    private fun pick(button: Int, read: () -> InputStream) {
        val uri = Uri.parse("content://gallery/$button")
        shadowOf(context.contentResolver).registerInputStreamSupplier(uri, read)
        activity.click(button)
        val asked = shadowOf(activity).nextStartedActivityForResult
        assertEquals("image/*", asked.intent.type)
        shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_OK, Intent().setData(uri))
    }

    private fun pick(button: Int, picture: Int) {
        val file = File(PACKAGED, "golden-$picture.png")
        pick(button) { ByteArrayInputStream(file.readBytes()) }
    }

    private fun shown(): Bitmap? =
        (activity.findViewById<ImageView>(R.id.picture).drawable as? BitmapDrawable)?.bitmap

    private fun desk() = activity.onRetainNonConfigurationInstance() as Desk

    @Test
    fun aBackgroundIsDrawnBehindThePicture() {
        pick(R.id.use_picture, picture = 0)
        until("the picture") { activity.shows(R.id.picture) }
        val blurred = shown()
        val before = desk().look.backdrop
        pick(R.id.use_backdrop, picture = 1)
        until("the background") { desk().look.backdrop !== before }
        until("the picture anew") { shown() !== blurred }
        assertEquals(Effect.BACKGROUND, desk().look.effect)
        val effect = activity.findViewById<Spinner>(R.id.effect)
        assertEquals(Effect.BACKGROUND.ordinal, effect.selectedItemPosition)
        assertFalse(activity.shows(R.id.problem))
    }

    @Test
    fun timesAndButtonsAreSeenWithoutScrolling() {
        pick(R.id.use_picture, picture = 0)
        until("the times") {
            shadowOf(Looper.getMainLooper()).idleFor(1, TimeUnit.SECONDS)
            "Inference" in activity.text(R.id.times)
        }
        activity.screenshot("times")
        val seen = Rect()
        for (id in listOf(R.id.times, R.id.use_camera, R.id.use_backdrop, R.id.self_test)) {
            val view = activity.findViewById<View>(id)
            assertTrue(view.getGlobalVisibleRect(seen))
            assertEquals(view.height, seen.height())
        }
    }

    @Test
    fun theCameraComesBackInPlaceOfThePicture() {
        pick(R.id.use_picture, picture = 0)
        until("the picture") { activity.shows(R.id.picture) }
        activity.click(R.id.use_camera)
        assertFalse(activity.shows(R.id.picture))
        assertSame(null, desk().picture)
        // There is none on this phone, which is said there instead.
        assertTrue(activity.shows(R.id.notice))
    }

    @Test
    fun saysThatThePhoneHasNoGallery() {
        shadowOf(context).checkActivities(true)
        activity.click(R.id.use_backdrop)
        until("the sentence") { activity.shows(R.id.problem) }
        assertEquals(context.getString(R.string.no_gallery), activity.text(R.id.problem))
    }

    @Test
    fun saysThatAFileIsNoPicture() {
        pick(R.id.use_picture) { ByteArrayInputStream("no picture".toByteArray()) }
        until("the sentence") { activity.shows(R.id.problem) }
        assertTrue(activity.text(R.id.problem), "A picture" in activity.text(R.id.problem))
    }

    @Test
    fun saysThatAPictureIsTooLarge() {
        pick(R.id.use_picture) { throw OutOfMemoryError("a picture of 900 megapixels") }
        until("the sentence") { activity.shows(R.id.problem) }
        val sentence = context.getString(R.string.picture_too_large)
        assertEquals(sentence, activity.text(R.id.problem))
        assertTrue("Runs" in activity.text(R.id.running))
    }

    @Test
    fun goesToTheSelfTestOfTheModelThatIsChosen() {
        activity.click(R.id.self_test)
        assertEquals("", startedSelfTest())
        val models = context.getExternalFilesDir("models")
        PACKAGED.copyRecursively(File(models, "pushed"))
        controller.pause().resume()
        val list = activity.findViewById<Spinner>(R.id.model)
        until("the pushed folder") { list.adapter.count == 2 }
        list.setSelection(1)
        until("the pushed model") { desk().session.state.model?.name == "pushed" }
        activity.click(R.id.self_test)
        assertEquals("pushed", startedSelfTest())
    }

    private fun startedSelfTest(): String? {
        val intent = shadowOf(activity).nextStartedActivity
        assertEquals(SelfTestActivity::class.java.name, intent.component?.className)
        return intent.getStringExtra(SelfTestActivity.MODEL)
    }
}
