package io.github.portrait_tflite.demo

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.net.Uri
import android.os.Looper
import android.view.View
import android.view.ViewGroup
import android.widget.Spinner
import android.widget.TextView
import java.io.ByteArrayInputStream
import java.io.File
import org.junit.Assert.fail
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController

private const val PATIENCE_MS = 120_000L
private const val STEP_MS = 10L

/** Starts the portrait screen, and waits for its model. */
fun startPortrait(): ActivityController<PortraitActivity> {
    val controller = Robolectric.buildActivity(PortraitActivity::class.java).setup()
    until("the model") { "Runs" in controller.get().text(R.id.running) }
    return controller
}

/** Lets the main thread work until something holds. */
fun until(what: String, holds: () -> Boolean) {
    val end = System.currentTimeMillis() + PATIENCE_MS
    while (true) {
        shadowOf(Looper.getMainLooper()).idle()
        if (holds()) return
        if (System.currentTimeMillis() > end) fail("$what did not come in $PATIENCE_MS ms")
        Thread.sleep(STEP_MS)
    }
}

/** What a text view of an activity says, or several in a group line by line. */
fun Activity.text(id: Int): String =
    inside(findViewById(id)).filterIsInstance<TextView>().joinToString("\n") { it.text }

/** Clicks a view of an activity. */
fun Activity.click(id: Int) {
    findViewById<View>(id).performClick()
}

/** What a list of an activity offers. */
fun Activity.choices(id: Int): List<String> {
    val adapter = findViewById<Spinner>(id).adapter
    return (0 until adapter.count).map { adapter.getItem(it).toString() }
}

/** Chooses a picture of the gallery in [PortraitActivity], by its button. */
fun PortraitActivity.pick(picture: ByteArray) {
    val uri = Uri.parse("content://gallery/picture")
    shadowOf(contentResolver).registerInputStreamSupplier(uri) { ByteArrayInputStream(picture) }
    findViewById<View>(R.id.use_picture).performClick()
    val asked = shadowOf(this).nextStartedActivityForResult
    shadowOf(this).receiveResult(asked.intent, Activity.RESULT_OK, Intent().setData(uri))
}

/** Whether a view of an activity is to be seen. */
fun Activity.shows(id: Int): Boolean = findViewById<View>(id).isShown

/** All views of an activity. */
fun Activity.views(): List<View> = inside(window.decorView)

private fun inside(view: View): List<View> {
    val group = view as? ViewGroup ?: return listOf(view)
    return listOf(view) + (0 until group.childCount).flatMap { inside(group.getChildAt(it)) }
}

/** Texts of an activity that are higher than their views, or end in an ellipsis. */
fun Activity.cutTexts(): List<String> =
    views().filterIsInstance<TextView>().filter { it.isShown && isCut(it) }.map { "${it.text}" }

private fun isCut(view: TextView): Boolean {
    val layout = view.layout ?: return false
    val room = view.height - view.totalPaddingTop - view.totalPaddingBottom
    return layout.height > room ||
        (0 until layout.lineCount).any { layout.getEllipsisCount(it) > 0 }
}

/** Keeps what an activity looks like in target/screenshots. */
fun Activity.screenshot(name: String): Bitmap {
    shadowOf(Looper.getMainLooper()).idle()
    val view = window.decorView
    val picture = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
    view.draw(Canvas(picture))
    val folder = File("target/screenshots").apply { mkdirs() }
    File(folder, "$name.png").outputStream().use {
        picture.compress(Bitmap.CompressFormat.PNG, 100, it)
    }
    return picture
}
