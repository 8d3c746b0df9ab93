package io.github.portrait_tflite.demo

import android.content.Intent
import android.os.Handler
import android.os.Looper
import io.github.portrait_tflite.demo.live.PACKAGED
import io.github.portrait_tflite.demo.live.Session
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.engine.newerOps
import java.io.File
import java.nio.ByteBuffer
import java.security.MessageDigest
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.shadows.ShadowLog

private const val NET = "rgb_stretch_int8-int8.tflite"

/** Every folder that may be wrong: a sentence on both screens and in the JSON; the app goes on. */
@RunWith(AppRunner::class)
class BadFoldersTest {
    private val context = RuntimeEnvironment.getApplication()

    /** How a folder is spoilt, and what the sentence says then. */
    private class Case(val words: String, val spoil: (File) -> Unit)

    private val cases =
        mapOf(
            "no-card" to Case("model.json must be in") { card(it).delete() },
            "torn-card" to Case("model.json must be a JSON object") { card(it).writeText("{") },
            "newer" to Case("schema 99. Update the app") {
                edit(it, "\"schema\": 1", "\"schema\": 99")
            },
            "no-file" to Case("$NET must be in") { File(it, NET).delete() },
            "half-pushed" to Case("another or half a file") {
                File(it, NET).writeBytes(ByteArray(1000))
            },
            "other-hash" to Case("another or half a file") {
                File(it, NET).run { writeBytes(readBytes().apply { this[size / 2]++ }) }
            },
            "other-type" to Case("Received: int8 [1, 48, 40, 3]") {
                edit(it, "\"dtype\": \"int8\"", "\"dtype\": \"uint8\"")
                edit(it, "\"zero_point\": -", "\"zero_point\": ")
            },
            "other-shape" to Case("Received: int8 [1, 48, 40, 3]") {
                edit(it, "48,\n", "64,\n")
            },
            "newer-op" to Case("a runtime that knows CONV_2D version 120") { folder ->
                val old = File(folder, NET).readBytes()
                val new = newerOps(ByteBuffer.wrap(old)).run { ByteArray(limit()).also(::get) }
                File(folder, NET).writeBytes(new)
                edit(folder, sha256(old), sha256(new))
            },
            "too-big" to Case("must fit into this device's memory") {
                edit(it, "\"bytes\": ${File(PACKAGED, NET).length()}", "\"bytes\": ${1L shl 40}")
            },
        )

    private fun card(folder: File) = File(folder, "model.json")

    private fun sha256(bytes: ByteArray): String =
        MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }

    private fun edit(folder: File, from: String, to: String) {
        val before = card(folder).readText()
        check(from in before) { "$from is not in $folder" }
        card(folder).writeText(before.replace(from, to))
    }

    private fun push(name: String, case: Case) {
        val folder = File(context.getExternalFilesDir("models"), name)
        PACKAGED.copyRecursively(folder)
        case.spoil(folder)
    }

    @Test
    fun theBenchmarkSaysItOnTheScreenAndInItsFile() {
        for ((name, case) in cases) {
            push(name, case)
            val order =
                Intent(context, BenchmarkActivity::class.java)
                    .putExtra("run", name).putExtra("model", name).putExtra("variants", "int8")
                    .putExtra("delegates", "xnnpack").putExtra("threads", "1")
                    .putExtra("runs", 1).putExtra("seconds", 0f).putExtra("cooldown", 0)
            val controller =
                Robolectric.buildActivity(BenchmarkActivity::class.java, order).setup()
            until("the end of $name") { over(name) }
            val said = controller.get().text(R.id.report_lines)
            assertTrue("$name on the screen: $said", case.words in said)
            val file = File(context.getExternalFilesDir("results"), "$name.json").readText()
            assertTrue("$name in the file: $file", case.words in file)
            controller.pause().stop().destroy()
        }
    }

    @Test
    fun theSelfTestSaysItOnTheScreenAndInItsFile() {
        val file = File(context.getExternalFilesDir("results"), "self-test.json")
        for ((name, case) in cases) {
            push(name, case)
            val test =
                Intent(context, SelfTestActivity::class.java)
                    .putExtra(SelfTestActivity.MODEL, name)
            val controller =
                Robolectric.buildActivity(SelfTestActivity::class.java, test).setup()
            val screen = controller.get()
            until("the end of $name") { file.path in screen.text(R.id.report_newest) }
            val said = screen.text(R.id.report_lines)
            assertTrue("$name on the screen: $said", case.words in said)
            assertTrue("$name in the file", case.words in file.readText())
            controller.pause().stop().destroy()
        }
    }

    @Test
    fun theSelfTestTestsThePushedFolderAndNotThePackaged() {
        push(
            "pushed",
            Case("") {
                edit(it, "\"name\": \"rgb_stretch_int8\"", "\"name\": \"another\"")
            },
        )
        val test = Intent(context, SelfTestActivity::class.java)
        test.putExtra(SelfTestActivity.MODEL, "pushed")
        val controller = Robolectric.buildActivity(SelfTestActivity::class.java, test).setup()
        val screen = controller.get()
        until("the end") { "Written to" in screen.text(R.id.report_newest) }
        val file = File(context.getExternalFilesDir("results"), "self-test.json")
        val json = JSONObject(file.readText())
        assertEquals("another", json.getJSONObject("model").getString("name"))
        assertTrue("\nFAILED" !in screen.text(R.id.report_lines))
        controller.pause().stop().destroy()
    }

    private fun over(name: String): Boolean =
        ShadowLog.getLogsForTag("PortraitBenchmark").orEmpty().any { " $name " in it.msg }

    @Test
    fun theLiveScreenSaysItAndKeepsTheModel() {
        cases.forEach(::push)
        val main = Handler(Looper.getMainLooper())
        val session = Session(ModelShelf(context), engine()) { main.post(it) }
        session.refresh()
        until("the model") { session.state.running != null }
        val running = session.state.running
        for ((name, case) in cases) {
            session.choose(session.state.models.single { it.name == name })
            until("an end of $name") { !session.state.opening }
            val problem = session.state.problem?.let(context.resources::sentence).orEmpty()
            assertTrue("$name: $problem", case.words in problem)
            assertTrue("$name", session.state.running === running)
        }
        session.close()
    }
}
