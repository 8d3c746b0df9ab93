package io.github.portrait_tflite.demo

import android.content.Intent
import android.os.Bundle
import io.github.portrait_tflite.demo.benchmark.Errand
import io.github.portrait_tflite.demo.benchmark.Work
import io.github.portrait_tflite.demo.live.PACKAGED
import java.io.File
import java.util.concurrent.CountDownLatch
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.android.controller.ActivityController
import org.robolectric.shadows.ShadowLog

/** Long work: one at a time, through whatever happens to its screen. */
@RunWith(AppRunner::class)
class RunningAloneTest {
    private val context = RuntimeEnvironment.getApplication()
    private val busy = context.getString(R.string.run_busy)
    private val left = context.getString(R.string.benchmark_left)

    private fun result(name: String) = File(context.getExternalFilesDir("results"), "$name.json")

    private fun errorOf(name: String) = JSONObject(result(name).readText()).getString("error")

    private fun logged(): List<String> =
        ShadowLog.getLogsForTag("PortraitBenchmark").orEmpty().map { it.msg }

    private fun order(run: String) =
        Intent(context, BenchmarkActivity::class.java)
            .putExtra("run", run).putExtra("variants", "float16")
            .putExtra("delegates", "xnnpack").putExtra("threads", "1")

    /** Starts a benchmark that would take an hour, and waits until it is at work. */
    private fun endless(run: String): ActivityController<BenchmarkActivity> {
        val order = order(run).putExtra("seconds", 3600f)
        val controller = Robolectric.buildActivity(BenchmarkActivity::class.java, order).setup()
        until("a row") { "passed" in controller.get().text(R.id.report_lines) }
        return controller
    }

    /** Pushes a model whose self-test takes minutes: its golden pictures are listed often. */
    private fun pushLong(): String {
        val folder = File(context.getExternalFilesDir("models"), "long")
        PACKAGED.copyRecursively(folder)
        val card = File(folder, "model.json")
        val json = JSONObject(card.readText())
        val golden = json.getJSONArray("golden")
        repeat(1000) { golden.put(golden.get(it)) }
        card.writeText(json.toString())
        return folder.name
    }

    /** Waits until nothing is at work any more. */
    private fun untilFree() = until("the end of the work") { Errand().start(Nothing) }

    private object Nothing : Work {
        override fun run() = Unit
    }

    /** Runs [block] while something else is at work. */
    private fun whileBusy(block: () -> Unit) {
        val end = CountDownLatch(1)
        val waiting =
            object : Work {
                override fun run() = end.await()
            }
        until("its turn") { Errand().start(waiting) }
        try {
            block()
        } finally {
            end.countDown()
        }
    }

    @Test
    fun aSecondBenchmarkIsRefusedOnTheScreenInTheLogAndInItsFile() = whileBusy {
        val second =
            Robolectric.buildActivity(BenchmarkActivity::class.java, order("second")).setup().get()
        until("the sentence") { busy in second.text(R.id.report_lines) }
        assertEquals(listOf("failed second $busy"), logged())
        assertEquals(busy, errorOf("second"))
    }

    @Test
    fun aSecondSelfTestIsRefused() = whileBusy {
        val second = Robolectric.buildActivity(SelfTestActivity::class.java).setup().get()
        until("the sentence") { busy in second.text(R.id.report_lines) }
        assertFalse(result("self-test").exists())
    }

    @Test
    fun aBenchmarkThatLeavesTheScreenEndsAndSaysSo() {
        val controller = endless("left")
        controller.pause().stop()
        assertEquals("failed left $left", logged().last())
        assertEquals(left, errorOf("left"))
        untilFree()
        assertEquals(1, logged().size)
        assertTrue(left in controller.get().text(R.id.report_lines))
    }

    @Test
    fun aBenchmarkThatEndsWellSaysSoOnce() {
        val order = order("well").putExtra("runs", 1).putExtra("seconds", 0f)
        val controller = Robolectric.buildActivity(BenchmarkActivity::class.java, order).setup()
        until("the line") { logged().isNotEmpty() }
        controller.pause().stop().destroy()
        untilFree()
        assertEquals(listOf("done well ${result("well").path}"), logged())
    }

    @Test
    fun aBenchmarkThatIsOverMayLeaveTheScreen() {
        val order = order("over").putExtra("delegates", "npu")
        val controller = Robolectric.buildActivity(BenchmarkActivity::class.java, order).setup()
        until("the line") { logged().any { it.startsWith("failed over") } }
        val before = result("over").readText()
        controller.pause().stop().destroy()
        untilFree()
        assertEquals(before, result("over").readText())
    }

    @Test
    fun aScreenThatIsMadeAnewGoesOnWithTheSameBenchmark() {
        val controller = endless("turned")
        val lines = controller.get().text(R.id.report_lines)
        RuntimeEnvironment.setFontScale(1.5f)
        controller.recreate()
        until("the lines") { lines in controller.get().text(R.id.report_lines) }
        assertEquals(emptyList<String>(), logged())
        controller.pause().stop()
        assertEquals(listOf("failed turned $left"), logged())
        untilFree()
    }

    @Test
    fun aSelfTestThatIsTurnedIsNotStartedAgain() {
        val controller = Robolectric.buildActivity(SelfTestActivity::class.java).setup()
        controller.recreate()
        controller.recreate()
        until("the end") { "Written to" in controller.get().text(R.id.report_lines) }
        val lines = controller.get().text(R.id.report_lines).lines()
        assertFalse(busy in lines)
        assertEquals(lines.distinct(), lines)
        untilFree()
    }

    @Test
    fun aSelfTestThatThePersonLeavesIsEnded() {
        val test = Intent(context, SelfTestActivity::class.java)
            .putExtra(SelfTestActivity.MODEL, pushLong())
        val controller = Robolectric.buildActivity(SelfTestActivity::class.java, test).setup()
        controller.get().finish()
        controller.pause().stop().destroy()
        untilFree()
        assertFalse(result("self-test").exists())
    }

    @Test
    fun nothingBeginsAnewAfterAndroidEndedTheApp() {
        val controller =
            Robolectric.buildActivity(BenchmarkActivity::class.java, order("again")).setup(Bundle())
        val lost = context.getString(R.string.run_lost)
        until("the sentence") { lost in controller.get().text(R.id.report_lines) }
        assertTrue(Errand().start(Nothing))
        assertFalse(result("again").exists())
    }
}
