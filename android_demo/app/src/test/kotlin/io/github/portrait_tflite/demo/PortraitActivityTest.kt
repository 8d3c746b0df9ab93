package io.github.portrait_tflite.demo

import android.Manifest
import android.content.pm.PackageManager
import android.graphics.drawable.BitmapDrawable
import android.os.Looper
import android.view.View
import android.widget.ImageView
import android.widget.Spinner
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.demo.live.PACKAGED
import io.github.portrait_tflite.demo.live.Shot
import io.github.portrait_tflite.demo.screen.Desk
import java.io.File
import java.nio.ByteBuffer
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicReference
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController

@RunWith(AppRunner::class)
class PortraitActivityTest {
    private val context = RuntimeEnvironment.getApplication()
    private lateinit var controller: ActivityController<PortraitActivity>
    private val activity get() = controller.get()

    /** Starts the activity on a phone with a camera that it may not use yet. */
    private fun start(
        camera: Boolean = true,
        settings: (ActivityController<PortraitActivity>) -> Unit = {},
    ) {
        shadowOf(context.packageManager).setSystemFeature(PackageManager.FEATURE_CAMERA_ANY, camera)
        controller = Robolectric.buildActivity(PortraitActivity::class.java)
        settings(controller)
        controller.setup()
        until("the model") { "Runs" in activity.text(R.id.running) }
    }

    @After
    fun stop() {
        if (!activity.isDestroyed) controller.pause().stop().destroy()
    }

    private fun deny() =
        activity.onRequestPermissionsResult(
            1,
            arrayOf(Manifest.permission.CAMERA),
            intArrayOf(PackageManager.PERMISSION_DENIED),
        )

    private fun pick(picture: ByteArray) = activity.pick(picture)

    private fun options(): List<String> = activity.choices(R.id.option)

    private fun option(): String = activity.findViewById<Spinner>(
        R.id.option,
    ).selectedItem.toString()

    private fun choose(option: String) =
        activity.findViewById<Spinner>(R.id.option).setSelection(options().indexOf(option))

    @Test
    fun startsWithThePackagedModelOnItsRecommendedDelegate() {
        start()
        assertEquals("int8 on xnnpack, 4 threads", option())
        assertTrue(
            activity.text(R.id.running),
            "Asked: int8 on xnnpack, 4 threads" in activity.text(R.id.running),
        )
        assertTrue(
            options().containsAll(listOf("int8 on cpu, 1 thread", "int8 on xnnpack, 2 threads")),
        )
        assertTrue("float16 on gpu, less precise: half floats" in options())
    }

    @Test
    fun asksForTheCameraAndGoesOnWithoutIt() {
        start()
        val asked = shadowOf(activity).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), asked.requestedPermissions.toList())
        deny()
        assertEquals(context.getString(R.string.camera_denied), activity.text(R.id.notice_text))
        assertTrue(activity.shows(R.id.notice_button))
        activity.screenshot("camera-denied")
    }

    @Test
    fun saysThatThereIsNoCamera() {
        start(camera = false)
        assertEquals(context.getString(R.string.camera_none), activity.text(R.id.notice_text))
        assertFalse(activity.shows(R.id.notice_button))
    }

    @Test
    fun saysThatTheCameraIsGoneThoughThePhoneClaimsOne() {
        shadowOf(context).grantPermissions(Manifest.permission.CAMERA)
        start()
        until("the notice") { activity.shows(R.id.notice) }
        assertEquals(context.getString(R.string.camera_none), activity.text(R.id.notice_text))
    }

    @Test
    fun keepsTheModelThroughARotation() {
        start()
        deny()
        val before = activity.onRetainNonConfigurationInstance()
        RuntimeEnvironment.setQualifiers("+land")
        controller.recreate()
        assertSame(before, activity.onRetainNonConfigurationInstance())
        assertTrue(activity.text(R.id.running), "Runs" in activity.text(R.id.running))
        assertEquals(context.getString(R.string.camera_denied), activity.text(R.id.notice_text))
        activity.screenshot("landscape")
        pick(portrait())
        until("a picture of the same network") { activity.shows(R.id.picture) }
    }

    @Test
    fun theInterpreterOutlivesARotationAndEndsWithTheActivity() {
        start()
        val thread = AtomicReference<Thread>()
        desk().session.work({ Thread.currentThread() }) { thread.set(it.getOrThrow()) }
        until("the thread") { thread.get() != null }
        controller.recreate()
        val second = AtomicReference<Thread>()
        desk().session.work({ Thread.currentThread() }) { second.set(it.getOrThrow()) }
        until("the thread after it") { second.get() != null }
        assertSame(thread.get(), second.get())
        activity.finish()
        controller.pause().stop().destroy()
        until("the end") { !thread.get().isAlive }
    }

    /** Bitmaps that the picture's view is given until the interpreter has done all it was asked. */
    private fun drawn(after: () -> Unit): Set<Any> {
        val view = activity.findViewById<ImageView>(R.id.picture)
        val bitmap = { (view.drawable as? BitmapDrawable)?.bitmap }
        val before = bitmap()
        val seen = LinkedHashSet<Any>()
        val asked = AtomicBoolean()
        after()
        desk().session.work({}) { asked.set(true) }
        val main = shadowOf(Looper.getMainLooper())
        val end = System.currentTimeMillis() + TimeUnit.MINUTES.toMillis(2)
        while (!asked.get()) {
            // One task at a time, so that no bitmap between two is missed.
            while (!main.isIdle) {
                main.runOneTask()
                bitmap()?.takeIf { it !== before }?.let(seen::add)
            }
            check(System.currentTimeMillis() < end) { "the interpreter does not answer" }
            Thread.sleep(10)
        }
        return seen
    }

    private fun desk() = activity.onRetainNonConfigurationInstance() as Desk

    @Test
    fun aPauseAndAResumeDrawThePictureOnce() {
        start()
        pick(portrait())
        until("the picture") { activity.shows(R.id.picture) }
        controller.pause()
        assertEquals(1, drawn { controller.resume() }.size)
        assertTrue(activity.text(R.id.running), "Runs" in activity.text(R.id.running))
        assertTrue(activity.shows(R.id.picture))
    }

    @Test
    fun framesAreGivenBackWhilePausedAndDrawnAfterwards() {
        start()
        val shots = desk().session.shots
        controller.pause()
        desk().session.submit(filmed(checkNotNull(shots.take())))
        assertEquals(5, freeAfterWork())
        controller.resume()
        desk().session.submit(filmed(checkNotNull(shots.take())))
        assertEquals(4, freeAfterWork()) // One waits for the GPU, which there is none of here.
        controller.pause()
        assertEquals(5, freeAfterWork())
        controller.resume()
    }

    private fun filmed(shot: Shot): Shot {
        val gray = ByteBuffer.wrap(ByteArray(64 * 48) { 128.toByte() })
        shot.frame.resize(64, 48)
        shot.frame.y.load(gray, 64, 1)
        shot.frame.u.load(gray, 32, 1)
        shot.frame.v.load(gray, 32, 1)
        return shot
    }

    /** Shots that nobody holds when the interpreter has done all it was asked. */
    private fun freeAfterWork(): Int {
        val asked = AtomicBoolean()
        desk().session.work({}) { asked.set(true) }
        until("the interpreter") { asked.get() }
        val shots = desk().session.shots
        return generateSequence { shots.take() }.toList().onEach(shots::give).size
    }

    @Test
    fun switchesDelegates() {
        start()
        choose("float16 on xnnpack, 2 threads")
        until("the other delegate") {
            "Asked: float16 on xnnpack, 2 threads" in
                activity.text(R.id.running)
        }
        assertFalse(activity.shows(R.id.problem))
        val runs = Regex("""Runs: xnnpack, 2 threads, \d+ partitions? of \d+ ops""")
        assertTrue(activity.text(R.id.running), runs in activity.text(R.id.running))
    }

    @Test
    fun keepsTheDelegateWhenAnotherFails() {
        start()
        choose("float16 on gpu, less precise: half floats")
        until("the sentence") { activity.shows(R.id.problem) }
        assertTrue(
            activity.text(R.id.running),
            "Asked: int8 on xnnpack, 4 threads" in activity.text(R.id.running),
        )
        until("the list") { option() == "int8 on xnnpack, 4 threads" }
        activity.screenshot("gpu-refused")
    }

    @Test
    fun drawsEveryEffectOnAPicture() {
        start()
        pick(portrait())
        until("the picture") { activity.shows(R.id.picture) }
        val looks = hashSetOf(pixels())
        for (effect in Effect.entries - Effect.BLUR) {
            activity.findViewById<Spinner>(R.id.effect).setSelection(effect.ordinal)
            until("the effect ${effect.json}") { looks.add(pixels()) }
        }
        shadowOf(Looper.getMainLooper()).idleFor(1, TimeUnit.SECONDS)
        assertTrue(activity.text(R.id.times), "Inference" in activity.text(R.id.times))
    }

    private fun pixels(): Int {
        val shown = activity.findViewById<ImageView>(R.id.picture).drawable
        val bitmap = (shown as BitmapDrawable).bitmap
        val pixels = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        return pixels.contentHashCode()
    }

    @Test
    fun saysWhatPicturesAndChoicesAre() {
        start()
        for (id in listOf(R.id.live, R.id.picture)) {
            assertFalse(activity.findViewById<View>(id).contentDescription.isNullOrEmpty())
        }
        for (id in listOf(R.id.effect, R.id.option, R.id.model)) {
            val labels = activity.views().filter { it.labelFor == id }
            assertEquals(1, labels.size)
        }
    }

    private fun portrait() = File(PACKAGED, "golden-0.png").readBytes()
}
